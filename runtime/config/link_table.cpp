#include "runtime/config/link_table.hpp"

#include "model/file_io.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace skippipe::runtime {

link_table::link_table(const std::filesystem::path& file) {
  const auto fail = [&](const std::string& what) {
    throw std::runtime_error(file.string() + ": " + what
                             + "; see configs/twelve-regions.json for an example");
  };
  const auto json = nlohmann::json::parse(model::read_text(file), nullptr, false);
  if (!json.is_object())
    fail("expected a JSON object with locations, latency_ms and bandwidth_MBps");
  const auto names = json.find("locations");
  if (names == json.end() || !names->is_array() || names->empty())
    fail("locations: expected a list of names");
  for (const auto& name : *names) {
    if (!name.is_string() || knows(name.get<std::string>()))
      fail("locations: expected names, each once, got " + name.dump());
    locations_.push_back(name);
  }
  const auto n = locations_.size();
  links_.resize(n * n);
  const auto read = [&](const char* key, double link_speed::*field, double factor, bool positive) {
    const auto rows = json.find(key);
    if (rows == json.end() || !rows->is_array() || rows->size() != n)
      fail(std::string{key} + ": expected a row for each of the " + std::to_string(n)
           + " locations");
    for (std::size_t a = 0; a < n; ++a) {
      const auto& row = (*rows)[a];
      if (!row.is_array() || row.size() != n)
        fail(std::string{key} + "[" + std::to_string(a) + "]: expected " + std::to_string(n)
             + " numbers");
      for (std::size_t b = 0; b < n; ++b) {
        const double value = row[b].is_number() ? row[b].get<double>() : -1;
        if (!std::isfinite(value) || value < 0 || (positive && value == 0))
          fail(std::string{key} + "[" + std::to_string(a) + "][" + std::to_string(b)
               + "]: expected a number " + (positive ? "above" : "of at least") + " 0, got "
               + row[b].dump());
        links_[a * n + b].*field = value * factor;
      }
    }
  };
  read("latency_ms", &link_speed::latency_s, 1e-3, false);
  read("bandwidth_MBps", &link_speed::bandwidth_Bps, 1e6, true);
  interfaces_Bps_.assign(n, 0);
  const auto interfaces = json.find("interface_MBps");
  if (interfaces == json.end())
    return;
  const bool each = interfaces->is_array();
  if (each && interfaces->size() != n)
    fail("interface_MBps: expected one number, or " + std::to_string(n) + " of them");
  for (std::size_t i = 0; i < n; ++i) {
    const auto& given = each ? (*interfaces)[i] : *interfaces;
    const double value = given.is_number() ? given.get<double>() : 0;
    if (!std::isfinite(value) || value <= 0)
      fail("interface_MBps" + (each ? "[" + std::to_string(i) + "]" : "")
           + ": expected a number above 0, got " + given.dump());
    interfaces_Bps_[i] = value * 1e6;
  }
}

bool link_table::knows(const std::string& location) const {
  return std::find(locations_.begin(), locations_.end(), location) != locations_.end();
}

std::size_t link_table::index(const std::string& location) const {
  return static_cast<std::size_t>(std::find(locations_.begin(), locations_.end(), location)
                                  - locations_.begin());
}

link_speed link_table::between(const std::string& from, const std::string& to) const {
  return links_.at(index(from) * locations_.size() + index(to));
}

double link_table::interface_Bps(const std::string& location) const {
  return interfaces_Bps_.at(index(location));
}

} // namespace skippipe::runtime
