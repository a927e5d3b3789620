#include "scheduler/json.hpp"

#include <charconv>
#include <cmath>
#include <unordered_set>

namespace skippipe::scheduler {

namespace {

/// Bytes of the valid UTF-8 sequence at `at`; 0 when it is not one.
std::size_t utf8_length(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) {
    return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0U;
  };
  const auto tail = [&](std::size_t i) { return (byte(i) & 0xc0U) == 0x80U; };
  const unsigned lead = byte(0);
  if (lead < 0x80U)
    return 1;
  if (lead >= 0xc2U && lead < 0xe0U)
    return tail(1) ? 2 : 0;
  if (lead >= 0xe0U && lead < 0xf0U) {
    const bool overlong = lead == 0xe0U && byte(1) < 0xa0U;
    const bool surrogate = lead == 0xedU && byte(1) >= 0xa0U;
    return tail(1) && tail(2) && !overlong && !surrogate ? 3 : 0;
  }
  if (lead >= 0xf0U && lead < 0xf5U) {
    const bool overlong = lead == 0xf0U && byte(1) < 0x90U;
    const bool beyond = lead == 0xf4U && byte(1) >= 0x90U;
    return tail(1) && tail(2) && tail(3) && !overlong && !beyond ? 4 : 0;
  }
  return 0;
}

void append_utf8(std::string& out, std::uint32_t code) {
  if (code < 0x80U) {
    out += static_cast<char>(code);
  } else if (code < 0x800U) {
    out += static_cast<char>(0xc0U | (code >> 6));
    out += static_cast<char>(0x80U | (code & 0x3fU));
  } else if (code < 0x10000U) {
    out += static_cast<char>(0xe0U | (code >> 12));
    out += static_cast<char>(0x80U | ((code >> 6) & 0x3fU));
    out += static_cast<char>(0x80U | (code & 0x3fU));
  } else {
    out += static_cast<char>(0xf0U | (code >> 18));
    out += static_cast<char>(0x80U | ((code >> 12) & 0x3fU));
    out += static_cast<char>(0x80U | ((code >> 6) & 0x3fU));
    out += static_cast<char>(0x80U | (code & 0x3fU));
  }
}

} // namespace

/// Recursive descent; every parse_* returns false after setting the problem.
class json_parser {
public:
  json_parser(std::string_view text, json_document& out, std::string& problem)
      : text_(text), out_(out), problem_(problem) {}

  bool parse_all() {
    json_document::value root;
    if (!parse_value(root, 0))
      return false;
    skip_space();
    if (at_ < text_.size())
      return fail("unexpected text after the document");
    out_.values_.push_back(root);
    return true;
  }

private:
  using value = json_document::value;
  using kind = json_document::kind;

  bool fail(const std::string& what) {
    problem_ = std::to_string(line_) + ":" + std::to_string(at_ - line_start_ + 1) + ": " + what;
    return false;
  }

  void skip_space() {
    for (; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (c == '\n') {
        ++line_;
        line_start_ = at_ + 1;
      } else if (c != ' ' && c != '\t' && c != '\r') {
        break;
      }
    }
  }

  bool parse_value(value& v, std::uint32_t depth) {
    skip_space();
    if (at_ >= text_.size())
      return fail("unexpected end of file, expected a value");
    v.line = line_;
    v.column = static_cast<std::uint32_t>(at_ - line_start_ + 1);
    switch (text_[at_]) {
      case '{':
        return parse_list(v, depth, kind::object, '}');
      case '[':
        return parse_list(v, depth, kind::array, ']');
      case '"':
        v.type = kind::string;
        v.first = static_cast<std::uint32_t>(out_.strings_.size());
        out_.strings_.emplace_back();
        return parse_string(out_.strings_.back());
      case 't':
        v.number = 1;
        return parse_word(v, kind::boolean, "true");
      case 'f':
        return parse_word(v, kind::boolean, "false");
      case 'n':
        return parse_word(v, kind::null, "null");
      default:
        return parse_number(v);
    }
  }

  bool parse_word(value& v, kind type, std::string_view word) {
    if (text_.substr(at_, word.size()) != word)
      return fail("expected a value");
    v.type = type;
    at_ += word.size();
    return true;
  }

  bool digits() {
    const std::size_t from = at_;
    while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9')
      ++at_;
    return at_ > from;
  }

  bool parse_number(value& v) {
    const std::size_t from = at_;
    const auto here = [&](char c) { return at_ < text_.size() && text_[at_] == c; };
    if (here('-'))
      ++at_;
    const bool zero = here('0');
    const std::size_t first = at_;
    if (!digits())
      return at_ = from, fail("expected a value");
    const std::size_t last = at_;
    if (zero && at_ > first + 1)
      return at_ = from, fail("a number must not start with 0");
    if (here('.') && (++at_, !digits()))
      return fail("expected a digit");
    if (here('e') || here('E')) {
      ++at_;
      if (here('+') || here('-'))
        ++at_;
      if (!digits())
        return fail("expected a digit");
    }
    v.type = kind::number;
    const auto read = std::from_chars(text_.data() + from, text_.data() + at_, v.number);
    // Too small to hold comes back as out of range, too; only too large is an error.
    if (read.ec != std::errc() || !std::isfinite(v.number))
      return at_ = from, fail("number out of range");
    v.exact = last != at_ || std::abs(v.number) < json_document::least_inexact;
    return true;
  }

  bool parse_hex(std::uint32_t& code) {
    if (at_ + 4 > text_.size())
      return fail("expected four hexadecimal digits");
    const auto read = std::from_chars(text_.data() + at_, text_.data() + at_ + 4, code, 16);
    if (read.ec != std::errc() || read.ptr != text_.data() + at_ + 4)
      return fail("expected four hexadecimal digits");
    at_ += 4;
    return true;
  }

  bool parse_escape(std::string& out) {
    const char c = at_ < text_.size() ? text_[at_] : '\0';
    constexpr std::string_view from = "\"\\/bfnrt", to = "\"\\/\b\f\n\r\t";
    if (const auto i = from.find(c); c != '\0' && i != std::string_view::npos) {
      out += to[i];
      ++at_;
      return true;
    }
    if (c != 'u')
      return fail("unknown escape in a string");
    ++at_;
    std::uint32_t code = 0, low = 0;
    if (!parse_hex(code))
      return false;
    if (code >= 0xdc00U && code < 0xe000U)
      return fail("half a surrogate pair in a string");
    if (code >= 0xd800U && code < 0xdc00U) {
      if (text_.substr(at_, 2) != "\\u")
        return fail("half a surrogate pair in a string");
      at_ += 2;
      if (!parse_hex(low))
        return false;
      if (low < 0xdc00U || low >= 0xe000U)
        return fail("half a surrogate pair in a string");
      code = 0x10000U + ((code - 0xd800U) << 10) + (low - 0xdc00U);
    }
    append_utf8(out, code);
    return true;
  }

  bool parse_string(std::string& out) {
    ++at_;
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '"') {
        ++at_;
        return true;
      }
      if (c == '\\') {
        ++at_;
        if (!parse_escape(out))
          return false;
        continue;
      }
      if (static_cast<unsigned char>(c) < 0x20)
        return fail("control character in a string");
      const std::size_t length = utf8_length(text_, at_);
      if (length == 0)
        return fail("invalid UTF-8 in a string");
      out.append(text_, at_, length);
      at_ += length;
    }
    return fail("unexpected end of file in a string");
  }

  bool parse_key(value& key, std::unordered_set<std::string>& keys) {
    skip_space();
    if (at_ >= text_.size() || text_[at_] != '"')
      return fail("expected a key in quotes");
    const std::size_t start = at_;
    if (!parse_value(key, 0))
      return false;
    if (!keys.insert(out_.strings_[key.first]).second)
      return at_ = start, fail("duplicate key " + json_quote(out_.strings_[key.first]));
    skip_space();
    if (at_ >= text_.size() || text_[at_] != ':')
      return fail("expected ':'");
    ++at_;
    return true;
  }

  bool parse_list(value& v, std::uint32_t depth, kind type, char close) {
    if (depth >= json_document::max_depth)
      return fail("nested deeper than " + std::to_string(json_document::max_depth) + " levels");
    v.type = type;
    ++at_;
    const std::size_t mark = pending_.size();
    std::unordered_set<std::string> keys;
    skip_space();
    if (at_ < text_.size() && text_[at_] == close) {
      ++at_;
    } else {
      while (true) {
        value item;
        if (type == kind::object) {
          if (!parse_key(item, keys))
            return false;
          pending_.push_back(item);
          item = {};
        }
        if (!parse_value(item, depth + 1))
          return false;
        pending_.push_back(item);
        skip_space();
        const char c = at_ < text_.size() ? text_[at_] : '\0';
        if (c != ',' && c != close)
          return fail(std::string("expected ',' or '") + close + "'");
        ++at_;
        if (c == close)
          break;
      }
    }
    v.first = static_cast<std::uint32_t>(out_.values_.size());
    v.count = static_cast<std::uint32_t>(pending_.size() - mark);
    out_.values_.insert(out_.values_.end(), pending_.begin() + static_cast<std::ptrdiff_t>(mark),
                        pending_.end());
    pending_.resize(mark);
    return true;
  }

  std::string_view text_;
  json_document& out_;
  std::string& problem_;
  std::size_t at_ = 0, line_start_ = 0;
  std::uint32_t line_ = 1;
  std::vector<value> pending_; ///< Children of lists not closed yet.
};

std::optional<json_document> json_document::parse(std::string_view text, std::string& problem) {
  if (text.size() > max_bytes) {
    problem = "1:1: larger than " + std::to_string(max_bytes >> 20) + " MiB";
    return std::nullopt;
  }
  json_document document;
  if (!json_parser(text, document, problem).parse_all())
    return std::nullopt;
  return document;
}

const json_document::value* json_document::find(const value& object, std::string_view key) const {
  for (std::uint32_t i = 0; i < object.count; i += 2)
    if (text(child(object, i)) == key)
      return &child(object, i + 1);
  return nullptr;
}

std::string json_quote(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      constexpr char hex[] = "0123456789abcdef";
      out += "\\u00";
      out += hex[(c >> 4) & 0xf];
      out += hex[c & 0xf];
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string json_number(double value) {
  char buffer[32];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value);
  return {buffer, end.ptr};
}

} // namespace skippipe::scheduler
