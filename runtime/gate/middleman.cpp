#include "runtime/gate/middleman.hpp"

#include "runtime/gate/handover.hpp"

#include "transport/tls/sockets.hpp"

#include <caf/all.hpp>
#include <caf/io/all.hpp>
#include <caf/io/basp_broker.hpp>
#include <caf/io/middleman_actor_impl.hpp>
#include <caf/io/network/default_multiplexer.hpp>
#include <caf/io/network/doorman_impl.hpp>
#include <caf/io/network/scribe_impl.hpp>

#include <netdb.h>
#include <sys/socket.h>

#include <cstring>
#include <future>
#include <stdexcept>
#include <vector>

namespace skippipe::runtime::gate {

namespace net = caf::io::network;

namespace {

/// A connection as CAF sees it. Its address is what the gate has found out, and so trustworthy.
class tunnel_scribe final : public net::scribe_impl {
public:
  tunnel_scribe(net::default_multiplexer& mx, net::native_socket fd, std::string name)
      : scribe_impl(mx, fd), name_(std::move(name)) {}
  std::string addr() const override { return name_; }
  std::uint16_t port() const override { return 0; }

private:
  const std::string name_;
};

/// Takes one connection from the queue instead of accepting one.
struct take_policy {
  std::shared_ptr<handover> from;
  std::shared_ptr<std::string> name; ///< Of the last one taken; shared with the doorman.

  bool try_accept(net::native_socket& result, net::native_socket bell) {
    char ring = 0;
    const auto n = ::recv(bell, &ring, 1, MSG_DONTWAIT);
    if (n <= 0)
      return n < 0;
    if (auto connection = from->pop()) {
      result = connection->fd.release();
      *name = connection->name;
    }
    return true;
  }
};

class tunnel_doorman final : public caf::io::doorman {
public:
  tunnel_doorman(net::default_multiplexer& mx, net::native_socket bell,
                 std::shared_ptr<handover> from, std::uint16_t port)
      : doorman(net::accept_hdl_from_socket(bell)), name_(std::make_shared<std::string>()),
        acceptor_(mx, bell, take_policy{std::move(from), name_}), port_(port) {}

  bool new_connection() override {
    transport::unique_fd fd(acceptor_.accepted_socket());
    if (detached())
      return false;
    auto& mx = acceptor_.backend();
    auto scribe = caf::make_counted<tunnel_scribe>(mx, fd.release(), *name_);
    const auto handle = scribe->hdl();
    parent()->add_scribe(std::move(scribe));
    return doorman::new_connection(&mx, handle);
  }
  void graceful_shutdown() override {
    acceptor_.graceful_shutdown();
    detach(&acceptor_.backend(), false);
  }
  void launch() override { acceptor_.start(this); }
  std::string addr() const override { return "gate"; }
  std::uint16_t port() const override { return port_; }
  void add_to_loop() override { acceptor_.activate(this); }
  void remove_from_loop() override { acceptor_.passivate(); }

private:
  const std::shared_ptr<std::string> name_;
  net::acceptor_impl<take_policy> acceptor_;
  const std::uint16_t port_;
};

/// Every numeric "HOST:PORT" of a host, in the resolver's order.
std::vector<std::string> resolve(const std::string& host, std::uint16_t port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* all = nullptr;
  std::vector<std::string> found;
  if (::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &all) != 0)
    return found;
  for (const auto* one = all; one != nullptr; one = one->ai_next) {
    transport::tls::socket_address address;
    std::memcpy(&address.storage, one->ai_addr, one->ai_addrlen);
    address.size = one->ai_addrlen;
    found.push_back(address.text());
  }
  ::freeaddrinfo(all);
  return found;
}

/// CAF's own middleman actor, but for how connections are made and taken.
class gate_middleman_actor final : public caf::io::middleman_actor_impl {
public:
  gate_middleman_actor(caf::actor_config& cfg, caf::actor broker, std::shared_ptr<gate> door)
      : middleman_actor_impl(cfg, std::move(broker)), gate_(std::move(door)) {}

private:
  net::default_multiplexer& backend() {
    return static_cast<net::default_multiplexer&>(system().middleman().backend());
  }

  caf::expected<caf::io::scribe_ptr> connect(const std::string& host, std::uint16_t port) override {
    std::string problem = "the host's name cannot be resolved";
    for (const auto& address : resolve(host, port)) {
      std::promise<std::pair<plain_connection, std::string>> promise;
      auto outcome = promise.get_future();
      gate_->dial(address, [&promise](plain_connection connection, std::string why) {
        promise.set_value({std::move(connection), std::move(why)});
      });
      auto [connection, why] = outcome.get(); // bounded by the gate's handshake limit
      if (connection.fd)
        return caf::make_counted<tunnel_scribe>(backend(), connection.fd.release(),
                                                connection.name);
      problem = std::move(why);
    }
    return caf::make_error(caf::sec::cannot_connect_to_node, host, port, problem);
  }

  caf::expected<caf::io::doorman_ptr> open(std::uint16_t, const char*, bool) override {
    auto queue = std::make_shared<handover>();
    auto bell = queue->take_listener();
    auto doorman =
        caf::make_counted<tunnel_doorman>(backend(), bell.release(), queue, gate_->port());
    gate_->receive_with(
        [queue](plain_connection connection) { return queue->push(std::move(connection)); });
    return doorman;
  }

  caf::expected<caf::io::datagram_servant_ptr> contact(const std::string&, std::uint16_t) override {
    return caf::sec::bad_function_call;
  }
  caf::expected<caf::io::datagram_servant_ptr> open_udp(std::uint16_t, const char*, bool) override {
    return caf::sec::bad_function_call;
  }

  const std::shared_ptr<gate> gate_;
};

} // namespace

secure_middleman::secure_middleman(caf::actor_system& system, gate_options options)
    : system_(system), gate_(std::make_shared<gate>(std::move(options))) {
  if (const auto problem = gate_->start(); !problem.empty())
    throw std::runtime_error(problem);
  auto broker = system.middleman().named_broker<caf::io::basp_broker>(caf::atom("BASP"));
  actor_ = caf::actor_cast<caf::io::middleman_actor>(
      system.spawn<gate_middleman_actor, caf::detached + caf::hidden>(std::move(broker), gate_));
}

secure_middleman::~secure_middleman() {
  gate_->stop(); // first: a dial under way would keep the actor waiting
  caf::scoped_actor self{system_, true};
  self->send_exit(actor_, caf::exit_reason::kill);
  self->wait_for(actor_);
}

caf::expected<std::uint16_t> secure_middleman::publish(caf::strong_actor_ptr whom,
                                                       std::set<std::string> types) {
  if (!whom)
    return caf::sec::cannot_publish_invalid_actor;
  auto ask = caf::make_function_view(actor_);
  return ask(caf::publish_atom_v, gate_->port(), std::move(whom), std::move(types), std::string{},
             false);
}

caf::expected<caf::strong_actor_ptr> secure_middleman::remote_actor(std::set<std::string> types,
                                                                    const std::string& host,
                                                                    std::uint16_t port) {
  auto ask = caf::make_function_view(actor_);
  auto answer = ask(caf::connect_atom_v, host, port);
  if (!answer)
    return std::move(answer.error());
  auto& whom = std::get<1>(*answer);
  if (!whom)
    return caf::make_error(caf::sec::no_actor_published_at_port, port);
  if (!system_.assignable(std::get<2>(*answer), types))
    return caf::make_error(caf::sec::unexpected_actor_messaging_interface, std::move(types),
                           std::move(std::get<2>(*answer)));
  return std::move(whom);
}

std::string secure_middleman::name_of(const caf::node_id& node) const {
  auto ask = caf::make_function_view(actor_);
  auto answer = ask(caf::get_atom_v, node);
  return answer ? std::get<1>(*answer) : std::string{};
}

} // namespace skippipe::runtime::gate
