#include "model/options.hpp"
