#include "spec/profile.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/text.h"
#include "doc/document.h"

/* Larger units that a value may be given in, and how many of the row's unit they are. */
static const struct {
    const char *unit, *larger;
    double factor;
} scales[] = {
    {"ns", "us", 1e3},  {"ns", "ms", 1e6},           {"ns", "s", 1e9},
    {"B", "KiB", 1024}, {"B", "MiB", 1024.0 * 1024}, {"B", "GiB", 1024.0 * 1024 * 1024},
};

/* What nobody can guess; a DPU has workers besides. */
static const enum profile_parameter required[] = {PROFILE_MESSAGE_NS, PROFILE_BYTE_NS,
                                                  PROFILE_WAKE_NS, PROFILE_PATH_NS};
static const enum profile_parameter required_dpu[] = {PROFILE_ARM_WORKERS, PROFILE_ARM_MESSAGE_NS,
                                                      PROFILE_ARM_BYTE_NS};

/* Names stand in tables, files and pictures. */
static const char name_characters[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";

/* How many of row's unit one of unit is; 0: not a unit of it. */
static double unit_factor(const struct profile_row *row, const char *unit)
{
    if (strcmp(unit, row->unit) == 0)
        return 1;
    for (size_t i = 0; i < sizeof scales / sizeof scales[0]; i++)
        if (strcmp(scales[i].unit, row->unit) == 0 && strcmp(scales[i].larger, unit) == 0)
            return scales[i].factor;
    return 0;
}

/* Of which a sentence shows nothing: "1.5" and not "1.5 1". */
static bool is_number(const struct profile_row *row)
{
    return strcmp(row->unit, "1") == 0;
}

enum { VALUE_BYTES = 64 };

/* A value with its unit, as a sentence shows it; returns text. */
static const char *shown(double value, const struct profile_row *row, char text[VALUE_BYTES])
{
    snprintf(text, VALUE_BYTES, "%g%s%s", value, is_number(row) ? "" : " ",
             is_number(row) ? "" : row->unit);
    return text;
}

/* A member that must be a number; false after a problem, or when it is not there and optional. */
static bool read_number(const json_t *object, const char *key, bool optional,
                        const struct place *parent, struct problems *problems, double *ret)
{
    struct place at = PLACE_KEY(parent, key);
    const json_t *value = json_object_get(object, key);
    char shown[PLACE_VALUE_MAX];

    if (!value) {
        if (!optional)
            place_problem(&at, problems, "missing; give a number");
        return false;
    }
    if (!json_is_number(value)) {
        place_problem(&at, problems, "%s is not a number", place_value(value, shown));
        return false;
    }
    *ret = json_number_value(value);
    return true;
}

static void read_parameter(json_t *object, const struct profile_row *row, const struct place *place,
                           struct problems *problems, double *value, double *error)
{
    struct place unit_at = PLACE_KEY(place, "unit"), value_at = PLACE_KEY(place, "value");
    struct place source_at = PLACE_KEY(place, "source"), error_at = PLACE_KEY(place, "error");
    const char *unit = json_string_value(json_object_get(object, "unit"));
    char is[VALUE_BYTES], most[VALUE_BYTES];
    double number = 0, deviation = 0;
    const char *key;
    json_t *member;

    if (!json_is_object(object)) {
        place_problem(place, problems,
                      "not an object; give {\"value\": ..., \"unit\": \"%s\", "
                      "\"source\": ...}",
                      row->unit);
        return;
    }
    json_object_foreach(object, key,
                        member) if (strcmp(key, "value") != 0 && strcmp(key, "unit") != 0 &&
                                    strcmp(key, "source") != 0 && strcmp(key, "error") != 0)
    {
        struct place at = PLACE_KEY(place, key);
        place_problem(&at, problems, "unknown; a parameter has value, unit, source and error");
    }
    double factor = unit ? unit_factor(row, unit) : 0;
    if (factor == 0)
        place_problem(&unit_at, problems, "%s; give \"%s\"",
                      unit ? "not a unit of this parameter" : "missing", row->unit);
    if (!json_is_string(json_object_get(object, "source")))
        place_problem(&source_at, problems, "missing; say where the value comes from");
    if (!read_number(object, "value", false, place, problems, &number) || factor == 0)
        return;
    number *= factor;
    if (!(number >= row->low && number <= row->high))
        place_problem(&value_at, problems, "%s is outside of %g to %s", shown(number, row, is),
                      row->low, shown(row->high, row, most));
    else if (row->whole && number != floor(number))
        place_problem(&value_at, problems, "%s is not a whole number", shown(number, row, is));
    if (read_number(object, "error", true, place, problems, &deviation) &&
        !(deviation >= 0 && deviation * factor <= 1e12))
        place_problem(&error_at, problems, "%g is %s; give a standard error", deviation,
                      deviation < 0 ? "negative" : "too large");
    *value = number;
    *error = deviation * factor;
}

static void read_parameters(json_t *parameters, const struct place *place,
                            struct problems *problems, struct profile *profile)
{
    const char *names[PROFILE_PARAMETERS], *key;
    json_t *object;

    for (int i = 0; i < PROFILE_PARAMETERS; i++)
        names[i] = profile_rows[i].name;
    json_object_foreach(parameters, key, object)
    {
        struct place at = PLACE_KEY(place, key);
        int i = profile_find(key);
        if (i >= 0) {
            read_parameter(object, &profile_rows[i], &at, problems, &profile->value[i],
                           &profile->error[i]);
            continue;
        }
        const char *near = text_nearest(key, names, PROFILE_PARAMETERS);
        place_problem(&at, problems, "unknown parameter%s%s%s", near ? "; did you mean " : "",
                      near ? near : "", near ? "?" : "");
    }
}

static void require(const json_t *parameters, const enum profile_parameter *list, size_t count,
                    const struct place *place, struct problems *problems)
{
    for (size_t i = 0; i < count; i++) {
        const struct profile_row *row = &profile_rows[list[i]];
        struct place at = PLACE_KEY(place, row->name);
        if (!json_object_get(parameters, row->name))
            place_problem(&at, problems, "missing; give the %s%s%s", row->help,
                          is_number(row) ? "" : ", in ", is_number(row) ? "" : row->unit);
    }
}

bool profile_name_valid(const char *name)
{
    size_t length = strlen(name);

    return length > 0 && length < PROFILE_NAME_MAX && strspn(name, name_characters) == length;
}

/* The index of text in profile_kinds, or -1. */
static int kind_of(const char *text)
{
    for (int i = 0; text && profile_kinds[i]; i++)
        if (strcmp(text, profile_kinds[i]) == 0)
            return i;
    return -1;
}

static void read_fitted(const json_t *list, const struct place *place, struct problems *problems,
                        struct profile *profile)
{
    size_t i;
    json_t *pair;

    if (list && (!json_is_array(list) || json_array_size(list) > PROFILE_FITTED_MAX)) {
        place_problem(place, problems, "not an array of at most %d pairs [frame, offered]",
                      PROFILE_FITTED_MAX);
        return;
    }
    json_array_foreach(list, i, pair)
    {
        struct place at = PLACE_INDEX(place, i);
        const json_t *frame = json_array_get(pair, 0), *offered = json_array_get(pair, 1);
        if (json_array_size(pair) != 2 || !json_is_number(frame) || !json_is_number(offered)) {
            place_problem(&at, problems, "not a pair [frame in bytes, offered a second]");
            return;
        }
        struct profile_fitted row = {json_number_value(frame), json_number_value(offered)};
        if (row.frame_bytes < 1 || row.frame_bytes > PROFILE_FRAME_MAX || row.offered_per_s < 0 ||
            row.offered_per_s > PROFILE_OFFERED_MAX) {
            place_problem(&at, problems, "[%g, %g] is outside of 1 to %g bytes, 0 to %g a second",
                          row.frame_bytes, row.offered_per_s, PROFILE_FRAME_MAX,
                          PROFILE_OFFERED_MAX);
            return;
        }
        profile->fitted[profile->fitted_count++] = row;
    }
}

static void read_root(json_t *root, const struct place *top, struct problems *problems,
                      struct profile *profile)
{
    struct place name_at = PLACE_KEY(top, "name"), kind_at = PLACE_KEY(top, "kind");
    struct place parameters_at = PLACE_KEY(top, "parameters");
    struct place fitted_at = PLACE_KEY(top, "fitted");
    const char *name = json_string_value(json_object_get(root, "name"));
    json_t *parameters = json_object_get(root, "parameters");
    int kind = kind_of(json_string_value(json_object_get(root, "kind")));
    const char *key;
    json_t *member;

    json_object_foreach(root, key,
                        member) if (strcmp(key, "name") != 0 && strcmp(key, "kind") != 0 &&
                                    strcmp(key, "description") != 0 &&
                                    strcmp(key, "parameters") != 0 && strcmp(key, "fitted") != 0)
    {
        struct place at = PLACE_KEY(top, key);
        place_problem(&at, problems,
                      "unknown; a profile has name, kind, description, parameters and fitted");
    }
    member = json_object_get(root, "description");
    if (member && !json_is_string(member)) {
        struct place at = PLACE_KEY(top, "description");
        place_problem(&at, problems, "not a text");
    }
    read_fitted(json_object_get(root, "fitted"), &fitted_at, problems, profile);
    if (!name || !profile_name_valid(name))
        place_problem(&name_at, problems,
                      "missing or no name; give 1 to %d letters, digits, '.', '_' and '-'",
                      PROFILE_NAME_MAX - 1);
    else
        memcpy(profile->name, name, strlen(name) + 1);
    if (kind < 0)
        place_problem(&kind_at, problems, "missing or unknown; give dpu, sidecar or direct");
    else
        profile->kind = (enum profile_kind)kind;
    if (!json_is_object(parameters)) {
        place_problem(&parameters_at, problems, "missing; give an object of parameters");
        return;
    }
    read_parameters(parameters, &parameters_at, problems, profile);
    require(parameters, required, sizeof required / sizeof required[0], &parameters_at, problems);
    if (kind == PROFILE_DPU)
        require(parameters, required_dpu, sizeof required_dpu / sizeof required_dpu[0],
                &parameters_at, problems);
}

int profile_check(const struct profile *profile, const struct place *place,
                  struct problems *problems)
{
    const double *value = profile->value;
    size_t before = problems->count;
    bool dpu = profile->kind == PROFILE_DPU;

    if (dpu && value[PROFILE_ARM_WORKERS] == 0)
        place_problem(place, problems, "kind dpu needs armWorkers of at least 1");
    if (!dpu && (value[PROFILE_ARM_WORKERS] > 0 || value[PROFILE_DMA_UNITS] > 0))
        place_problem(place, problems, "armWorkers and dmaUnits belong to kind dpu, and this is %s",
                      profile_kinds[profile->kind]);
    if (value[PROFILE_DMA_COPY_NS] > 0 && value[PROFILE_DMA_UNITS] == 0)
        place_problem(place, problems, "dmaCopy is given without dmaUnits to do the copies");
    if (value[PROFILE_COALESCE_BYTES] > 0 && value[PROFILE_KEEP_ALIVE_NS] == 0)
        place_problem(place, problems,
                      "coalesce without keepAlive would hold the last message for ever");
    if (value[PROFILE_LARGEST_BYTES] > 0 &&
        value[PROFILE_SEGMENT_BYTES] > value[PROFILE_LARGEST_BYTES])
        place_problem(place, problems, "segment (%g B) is larger than largestCopy (%g B)",
                      value[PROFILE_SEGMENT_BYTES], value[PROFILE_LARGEST_BYTES]);
    if (value[PROFILE_SMALL_SHARE] > 0 &&
        !(value[PROFILE_SMALL_SHARE] >= profile_rows[PROFILE_HOST_SHARE].low &&
          value[PROFILE_SMALL_SHARE] <= value[PROFILE_HOST_SHARE]))
        place_problem(place, problems, "smallShare (%g) is not between %g and hostShare (%g)",
                      value[PROFILE_SMALL_SHARE], profile_rows[PROFILE_HOST_SHARE].low,
                      value[PROFILE_HOST_SHARE]);
    if (value[PROFILE_STALL_NS] > 0 && value[PROFILE_HOST_SHARE] == 1)
        place_problem(place, problems, "stall is given, but hostShare 1 leaves no time for it");
    return problems->count > before ? -EINVAL : 0;
}

int profile_read(json_t *object, const struct place *place, struct profile *ret,
                 struct problems *problems)
{
    struct profile profile = {.kind = PROFILE_DIRECT};
    size_t before = problems->count;

    if (!json_is_object(object)) {
        place_problem(place, problems,
                      "not an object; give a profile with name, kind and parameters");
        return -EINVAL;
    }
    for (int i = 0; i < PROFILE_PARAMETERS; i++)
        profile.value[i] = profile_rows[i].fallback;
    read_root(object, place, problems, &profile);
    if (problems->count > before)
        return -EINVAL;
    int r = profile_check(&profile, place, problems);
    if (r == 0)
        *ret = profile;
    return r;
}

int profile_parse(const char *bytes, size_t length, const char *file, struct profile *ret,
                  struct problems *problems)
{
    struct source source = {.file = file};
    struct place top = PLACE_ROOT(&source);
    json_auto_t *root = NULL;

    int r = document_parse_json(bytes, length, file, &root, problems);
    return r < 0 ? r : profile_read(root, &top, ret, problems);
}

int profile_load(const char *name_or_path, struct profile *ret, struct problems *problems)
{
    cleanup_buffer struct buffer text = BUFFER_INIT(PROFILE_FILE_BYTES_MAX);
    cleanup_buffer struct buffer names = BUFFER_INIT(4096);
    cleanup_error struct error *err = NULL;

    for (size_t i = 0; i < profile_file_count; i++) {
        const struct profile_file *file = &profile_files[i];
        if (strcmp(file->name, name_or_path) == 0)
            return profile_parse(file->text, strlen(file->text), file->name, ret, problems);
        buffer_printf(&names, "%s%s", i > 0 ? ", " : "", file->name);
    }
    if (!strpbrk(name_or_path, "/.")) {
        problem_add(problems, "no profile is called %s; there are %s, or give a file", name_or_path,
                    buffer_terminate(&names));
        return -ENOENT;
    }
    int r = file_read(name_or_path, &text, &err);
    if (r < 0) {
        problem_add(problems, "%s", error_message(err));
        return r;
    }
    return profile_parse(text.data ? text.data : "", text.length, name_or_path, ret, problems);
}

static bool is_required(const struct profile *profile, enum profile_parameter parameter)
{
    for (size_t i = 0; i < sizeof required / sizeof required[0]; i++)
        if (required[i] == parameter)
            return true;
    for (size_t i = 0; i < sizeof required_dpu / sizeof required_dpu[0]; i++)
        if (required_dpu[i] == parameter)
            return profile->kind == PROFILE_DPU;
    return false;
}

/* Four significant digits: a fit does not know more, and a file with less can be read. */
static double rounded(double value)
{
    if (value == 0)
        return 0;
    double scale = pow(10, 3 - floor(log10(fabs(value))));
    return round(value * scale) / scale;
}

json_t *profile_json(const struct profile *profile, const char *description,
                     const char *const sources[PROFILE_PARAMETERS])
{
    json_t *parameters = json_object();

    for (int i = 0; i < PROFILE_PARAMETERS; i++) {
        const struct profile_row *row = &profile_rows[i];
        if (profile->value[i] == row->fallback && profile->error[i] == 0 &&
            !is_required(profile, (enum profile_parameter)i))
            continue;
        double value = row->whole ? profile->value[i] : rounded(profile->value[i]);
        json_t *object =
            json_pack("{s:o, s:s, s:s}", "value",
                      value == floor(value) && fabs(value) < 1e15 ? json_integer((json_int_t)value)
                                                                  : json_real(value),
                      "unit", row->unit, "source", sources[i] ? sources[i] : "not stated");
        if (profile->error[i] > 0)
            json_object_set_new(object, "error", json_real(rounded(profile->error[i])));
        json_object_set_new(parameters, row->name, object);
    }
    json_t *root = json_pack("{s:s, s:s, s:s, s:o}", "name", profile->name, "kind",
                             profile_kinds[profile->kind], "description", description, "parameters",
                             parameters);
    json_t *fitted = json_array();
    for (size_t i = 0; i < profile->fitted_count; i++)
        json_array_append_new(fitted,
                              json_pack("[I, I]", (json_int_t)profile->fitted[i].frame_bytes,
                                        (json_int_t)profile->fitted[i].offered_per_s));
    if (profile->fitted_count > 0)
        json_object_set(root, "fitted", fitted);
    json_decref(fitted);
    return root;
}
