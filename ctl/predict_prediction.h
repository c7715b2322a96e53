/* Private to `dpumesh predict -f`: what was asked, and what came out. One thread. */
#ifndef DPUMESH_CTL_PREDICT_PREDICTION_H
#define DPUMESH_CTL_PREDICT_PREDICTION_H

#include "ctl/predict.h"
#include "ctl/predict_mesh.h"

struct prediction {
    const struct predict_options *options;
    const struct application *application;
    struct predict_mesh plan;
    double crossings; /* of a request, in the mean */
    size_t count;     /* rates */
    struct mesh_load *loads;
    struct mesh_result *results;
    struct mesh_service_result *services; /* of each rate, one for each service */
};

/* Prints it as the options say. */
void prediction_print(const struct prediction *prediction);

#endif
