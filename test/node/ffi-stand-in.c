// What node:ffi does for this program, as an addon, for the Nodes of machines that Node 26 is not to be had for here: one C function
// called with up to six integers or addresses. Its JavaScript half is ffi-stand-in.mjs. Node-API is declared here, since
// its headers are no package of every architecture (nodejs.org/api/n-api.html: the ABI is stable).
#include <dlfcn.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct napi_env__ *napi_env;
typedef struct napi_value__ *napi_value;
typedef struct napi_callback_info__ *napi_callback_info;
typedef napi_value (*napi_callback)(napi_env, napi_callback_info);
int napi_create_function(napi_env, const char *, size_t, napi_callback, void *, napi_value *);
int napi_set_named_property(napi_env, napi_value, const char *, napi_value);
int napi_get_cb_info(napi_env, napi_callback_info, size_t *, napi_value *, napi_value *, void **);
int napi_get_value_bigint_int64(napi_env, napi_value, int64_t *, bool *);
int napi_get_value_string_utf8(napi_env, napi_value, char *, size_t, size_t *);
int napi_is_typedarray(napi_env, napi_value, bool *);
int napi_get_typedarray_info(napi_env, napi_value, int *, size_t *, void **, napi_value *, size_t *);
int napi_create_bigint_int64(napi_env, int64_t, napi_value *);
int napi_create_int32(napi_env, int32_t, napi_value *);

// A bigint as it is, a typed array as its address.
static int64_t word(napi_env env, napi_value value) {
  bool flag = false;
  int64_t number = 0;
  void *data = NULL;
  if (napi_is_typedarray(env, value, &flag) == 0 && flag) {
    napi_get_typedarray_info(env, value, NULL, NULL, &data, NULL, NULL);
    return (int64_t)(intptr_t)data;
  }
  napi_get_value_bigint_int64(env, value, &number, &flag);
  return number;
}

// symbol(library, name): its address, 0 when there is none.
static napi_value symbol(napi_env env, napi_callback_info info) {
  napi_value given[2], result;
  size_t count = 2, length;
  char library[256], name[64];
  napi_get_cb_info(env, info, &count, given, NULL, NULL);
  napi_get_value_string_utf8(env, given[0], library, sizeof library, &length);
  napi_get_value_string_utf8(env, given[1], name, sizeof name, &length);
  void *handle = dlopen(library, RTLD_LAZY);
  void *found = handle == NULL ? NULL : dlsym(handle, name);
  napi_create_bigint_int64(env, (int64_t)(intptr_t)found, &result);
  return result;
}

// call(address, six arguments): the register in which a function returns. The type has no ellipsis: as with any
// foreign function interface, a function that has one is called as if it had none.
static napi_value call(napi_env env, napi_callback_info info) {
  napi_value given[7], result;
  size_t count = 7;
  napi_get_cb_info(env, info, &count, given, NULL, NULL);
  int64_t v[7] = {0};
  for (size_t i = 0; i < count && i < 7; i += 1) v[i] = word(env, given[i]);
  int64_t (*function)(int64_t, int64_t, int64_t, int64_t, int64_t, int64_t) = (void *)(intptr_t)v[0];
  napi_create_bigint_int64(env, function(v[1], v[2], v[3], v[4], v[5], v[6]), &result);
  return result;
}

static napi_value read_int(napi_env env, napi_callback_info info) {
  napi_value given[1], result;
  size_t count = 1;
  napi_get_cb_info(env, info, &count, given, NULL, NULL);
  napi_create_int32(env, *(int32_t *)(intptr_t)word(env, given[0]), &result);
  return result;
}

static void add(napi_env env, napi_value exports, const char *name, napi_callback function) {
  napi_value value;
  napi_create_function(env, name, (size_t)-1, function, NULL, &value);
  napi_set_named_property(env, exports, name, value);
}

napi_value napi_register_module_v1(napi_env env, napi_value exports) {
  add(env, exports, "symbol", symbol);
  add(env, exports, "call", call);
  add(env, exports, "readInt", read_int);
  return exports;
}
