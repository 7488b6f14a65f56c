// edgekit_title: all that an application includes.
#ifndef EDGEKIT_NAME_TFLM_H_
#define EDGEKIT_NAME_TFLM_H_

#include "edgekit_name_inference.h"
#include "edgekit_name_model.h"
#include "edgekit_name_selftest.h"
#include "edgekit_name_settings.h"
#include "edgekit_name_spec.h"

#endif  // EDGEKIT_NAME_TFLM_H_
