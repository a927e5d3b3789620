#include "model/shard.hpp"
