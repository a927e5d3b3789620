#include "runtime/config/default_files.hpp"

namespace skippipe::runtime {

namespace {

constexpr std::string_view job_file =
    R"(# A training job: skippipe train FILE. Every key with its default.

[job]
name = "job"                 # run folders are runs/NAME-N

[model]
preset = "tiny"              # tiny, 500M, 1.5B, 8B; the keys below override what it sets
# dim = 192                  # channels
# layers = 8
# heads = 6                  # divides dim
# kv_heads = 3               # divides heads
# ffn = 512                  # hidden width of the feed-forward
# vocab = 2048               # equal to the tokenizer's
# context = 128              # tokens
# tied = false               # the head reuses the embedding
# dtype = "float32"          # or bfloat16, float64
# recompute = false          # less memory, a third more compute
# norm_eps = 1e-5
# rope_theta = 10000.0

[pipeline]
stages = 4
# layers_per_stage = [2, 2, 2, 2]   # absent: as even as possible
skip_ratio = 0.25            # share of the stages that a microbatch leaves out
# path_length = 3            # the same as a number of stages; give one of the two
microbatches_per_origin = 4
microbatch_size = 8          # samples
memory_microbatches = 4      # in flight per node
strategy = "skippipe"        # full, random, no-collision, cbs, skippipe
deterministic = false        # bit-equal runs, slower
on_failure = "reroute"       # or replay

[limits]                     # of a path, beyond the furthest stage it has reached
max_swaps = 2
max_swap_distance = 1
max_total_swap_distance = 2
max_jump = 4

[train]
total_iterations = 100       # the learning-rate schedule ends here
lr = 3e-4
warmup = 0                   # iterations
min_lr_ratio = 0.1           # the schedule ends at lr times this
clip = 1.0                   # global gradient norm; 0 turns it off
weight_decay = 0.1
beta1 = 0.9
beta2 = 0.95
eps = 1e-8
seed = 1                     # initial values, data order and routes
eval_every = 0               # iterations; 0: at the end only
eval_batches = 8
sample_tokens = 0            # of text generated at the end

[data]
corpus = "debian"            # the Perl manual, prepared at first run
# dir = "data/mine"          # or what `skippipe data prepare` made
tokenizer = "spm"            # or byte
vocab_size = 2048

[checkpoint]
every = 0                    # iterations; 0: at the end only
keep = 3
store = "scheduler+peer"     # on a cluster: beside the scheduler's, a copy on a node that it chooses;
                             # "scheduler+NODE": on that one; "scheduler": no copy

[cluster]                    # nodes in this process
nodes = 4
# replicas = [1, 1, 1, 1]    # per stage; absent: as even as possible
threads = 0                  # compute workers; 0: one per core
device = "cpu"               # or cuda:N
)";

// The node's tables, shared by the cluster's file below.
constexpr std::string_view node_tables = R"(
[data_plane]
backend = "ucx"              # or tls, where the network is not trusted
tls_streams = 4
ucx_tls = "tcp"              # UCX transports of trusted interfaces; shared memory is not offered
wire_dtype = "float32"       # or bfloat16
sealed = false               # encrypt payloads, whatever the backend
# relay_listen = "0.0.0.0:7002"  # relay for nodes that name this one in node.relay

[failure]
detect_within_s = 4.0        # a dead or cut-off node is noticed within this time

[transfer]
max_share = 0.25             # of limits.max_upload_mbps, for checkpoints and other files; on SIGHUP

[limits]
max_upload_mbps = 0.0        # 10^6 bits a second of tensors and files; 0: no limit; reread on SIGHUP

[trace]
enabled = true               # false: what its stage does is missing in traces

[log]
level = "info"               # debug, info, warning, error; reread on SIGHUP

[profile]
enabled = true               # measure nodes and links, plan by that
warmup_microbatches = 3      # on this node's real shard, before the first iteration
warmup_s = 2.0               # no further one after so long
# Of the scheduler's node:
probe_bytes = 4_194_304      # of one direction of a link before a job starts
probe_s = 0.5                # and its seconds
probe_total_s = 15.0         # no round of probes begins after so long
fresh_s = 600.0              # a link's figures hold so long
replan_gain = 0.05           # a new plan must save this share of an iteration
replan_confirm = 3           # in so many iterations in a row
replan_pause = 20            # and is asked for at most once in so many

# [metrics]
# listen = "127.0.0.1:9400"

# [emulation]                # pretend to be elsewhere and slower
# location = "europe-west1"
# links = "links.json"       # latencies and bandwidths between locations
# compute_s = 0.5            # one stage's forward of one microbatch
# payload_bytes = 0
# sync_bytes = 0
# time_scale = 1.0
)";

constexpr std::string_view node_file =
    R"(# A node: skippipe node --config FILE. Every key with its default.

[node]
name = "node"
cluster = "default"          # a node joins only its own
# dir = ".skippipe/node"     # journal, fetched data, runs of the scheduler
listen = "127.0.0.1:0"       # control; port 0: any free one; "off": this node only dials out
# advertise = "10.0.0.5"     # what others dial, where it differs
data_listen = "127.0.0.1:0"  # tensors
# ports = "7100-7199"        # range to take them from
# relay = "..."              # a node through which others reach this one; then no data_listen
seeds = []                   # HOST:PORT of nodes to join; none: a cluster of its own
memory_microbatches = 4      # in flight
device = "cpu"               # or cuda:N
threads = 1
location = ""

[scheduler]
enabled = true               # default: where there are no seeds
dedicated = false            # true: schedules only, serves no stage
# journal = "journal"
voters = []                  # reserved: names of nodes, without effect

[security]
mode = "insecure"            # this machine only; tls for everything else
# ca = "keys/node/ca.pem"    # as `skippipe certs issue` lays them out
# certificate = "keys/node/certificate.pem"
# key = "keys/node/key.pem"
# revoked = "keys/node/revoked.pem"  # default: revoked.pem beside ca, if it is there
# token = "..."              # from `skippipe token create`, for a node that joins for the first time
trusted_interfaces = []      # names or prefixes (10.0.0.0/8) that UCX may listen on
)";

constexpr std::string_view cluster_file =
    R"(# A cluster of nodes on this machine: skippipe up FILE. Every key with its default.

[cluster]
name = "local"
nodes = 9                    # the first runs the scheduler and no stage
dir = "runs/cluster"         # keys, journal and logs

[node]                       # what all nodes share
memory_microbatches = 4      # in flight
device = "cpu"
threads = 1
)";

} // namespace

std::string default_file(std::string_view kind) {
  if (kind == "job")
    return std::string{job_file};
  if (kind == "node")
    return std::string{node_file}.append(node_tables);
  return kind == "cluster" ? std::string{cluster_file}.append(node_tables) : std::string{};
}

const std::vector<std::string>& default_file_kinds() {
  static const std::vector<std::string> kinds = {"job", "node", "cluster"};
  return kinds;
}

} // namespace skippipe::runtime
