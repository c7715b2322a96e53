#include "ctl/verb.h"

bool verb_is_plugin;
