#include "scheduler/planner.hpp"
