/* The C and C++ interface to fault management.
 *
 * @generated from bindings/c by `cargo xtask gen`; change the sources there, not this file.
 *
 * Every call may be made by any thread at any time, before and after a fork, and returns by its
 * deadline. fm_last_error_message tells in words why a call failed. */

#ifndef FM_API_H
#define FM_API_H


#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#ifdef __cplusplus
#include <vector>
#endif

// How many alarms fm_get_faults_by_id_n_eid takes the array to hold when it is not told.
static const size_t DEF_MAX_ALARMS = 1000;


// Bytes of every text, the NUL at its end among them.
#define FM_MAX_BUFFER_LENGTH 255

// The two values of `FMBoolTypeT`; any value but 0 is taken for true.
#define FM_TRUE 1

// See `FM_TRUE`.
#define FM_FALSE 0

// What came of a call. Only `NOCONNECT`, `COMMUNICATIONS`, `NOT_ENOUGH_SPACE` and `RESOURCE_UNAVAILABLE` are worth another try.
typedef enum EFmErrorT {
  FM_ERR_OK = 0,
  FM_ERR_ALARM_EXISTS = 1,
  FM_ERR_INVALID_ATTRIBUTE = 2,
  FM_ERR_NOCONNECT = 3,
  FM_ERR_NOMEM = 4,
  FM_ERR_COMMUNICATIONS = 5,
  FM_ERR_NOT_ENOUGH_SPACE = 6,
  FM_ERR_INVALID_REQ = 7,
  FM_ERR_SERVER_NO_MEM = 8,
  FM_ERR_SCRIPT_FAILURE = 9,
  FM_ERR_ENTITY_NOT_FOUND = 10,
  FM_ERR_DB_OPERATION_FAILURE = 11,
  FM_ERR_DB_CONNECT_FAILURE = 12,
  FM_ERR_INVALID_PARAMETER = 13,
  FM_ERR_RESOURCE_UNAVAILABLE = 14,
  FM_ERR_REQUEST_PENDING = 15,
  FM_ERR_MAX = 16,
} EFmErrorT;

// What a call with an alarm asks for: clear it, raise it, or record a log (`MSG` and `LOG` are the same).
typedef enum EFmAlarmStateT {
  FM_ALARM_STATE_CLEAR = 0,
  FM_ALARM_STATE_SET = 1,
  FM_ALARM_STATE_MSG = 2,
  FM_ALARM_STATE_LOG = 3,
  FM_ALARM_STATE_MAX = 4,
} EFmAlarmStateT;

// How bad a fault is, after ITU-T X.733. `CLEAR` asks for a clear.
typedef enum EFmAlarmSeverityT {
  FM_ALARM_SEVERITY_CLEAR = 0,
  FM_ALARM_SEVERITY_WARNING = 1,
  FM_ALARM_SEVERITY_MINOR = 2,
  FM_ALARM_SEVERITY_MAJOR = 3,
  FM_ALARM_SEVERITY_CRITICAL = 4,
  FM_ALARM_SEVERITY_MAX = 5,
} EFmAlarmSeverityT;

// The kind of a fault, after ITU-T X.733.
typedef enum EFmAlarmTypeT {
  FM_ALARM_TYPE_UNKNOWN = 0,
  FM_ALARM_COMM = 1,
  FM_ALARM_QOS = 2,
  FM_ALARM_PROCESSING_ERROR = 3,
  FM_ALARM_EQUIPMENT = 4,
  FM_ALARM_ENVIRONMENTAL = 5,
  FM_ALARM_INTERGRITY = 6,
  FM_ALARM_OPERATIONAL = 7,
  FM_ALARM_PHYSICAL = 8,
  FM_ALARM_SECURITY = 9,
  FM_ALARM_TIME = 10,
  FM_ALARM_TYPE_MAX = 11,
} EFmAlarmTypeT;

// Why a fault came about, after ITU-T X.733 and X.736.
typedef enum EFmAlarmProbableCauseT {
  FM_ALARM_CAUSE_UNKNOWN = 0,
  FM_ALARM_ADAPTOR_ERROR = 1,
  FM_ALARM_APP_SUBSYS_FAILURE = 2,
  FM_ALARM_BANDWIDTH_REDUCED = 3,
  FM_ALARM_CALL_ERROR = 4,
  FM_ALARM_COMM_PROTOCOL_ERROR = 5,
  FM_ALARM_COMM_SUBSYS_FAILURE = 6,
  FM_ALARM_CONFIG_ERROR = 7,
  FM_ALARM_CONGESTION = 8,
  FM_ALARM_CORRUPT_DATA = 9,
  FM_ALARM_CPU_LIMITED_EXCEEDED = 10,
  FM_ALARM_DATASET_ERROR = 11,
  FM_ALARM_DEGRADED_SIGNAL = 12,
  FM_ALARM_DTE_DCE_INTERFACE_ERROR = 13,
  FM_ALARM_DOOR_OPEN = 14,
  FM_ALARM_EQUIPMENT_MALFUNCTION = 15,
  FM_ALARM_EXCESSIVE_VIBRATION = 16,
  FM_ALARM_FILE_ERROR = 17,
  FM_ALARM_FIRE_DETECTED = 18,
  FM_ALARM_FLOOD_DETECTED = 19,
  FM_ALARM_FRAMING_ERROR = 20,
  FM_ALARM_COOLING_PROBLEM = 21,
  FM_ALARM_HUMIDITY_UNACCEPTABLE = 22,
  FM_ALARM_IO_DEVICE_ERROR = 23,
  FM_ALARM_INPUT_DEVICE_ERROR = 24,
  FM_ALARM_LAN_ERROR = 25,
  FM_ALARM_LEAK_DETECTED = 26,
  FM_ALARM_LOCAL_TX_ERROR = 27,
  FM_ALARM_LOSS_OF_FRAME = 28,
  FM_ALARM_LOSS_OF_SIGNAL = 29,
  FM_ALARM_MATERIAL_SUPPlY_EXHAUSTED = 30,
  FM_ALARM_MULTIPLEXER_PROBLEM = 31,
  FM_ALARM_OUT_OF_MEMORY = 32,
  FM_ALARM_OUTPUT_DEVICE_ERROR = 33,
  FM_ALARM_PERMFORMANCE_DEGRADED = 34,
  FM_ALARM_POWER_PROBLEM = 35,
  FM_ALARM_PROCESSOR_PROBLEM = 36,
  FM_ALARM_PUMP_FAILURE = 37,
  FM_ALARM_Q_SIZE_EXCEEDED = 38,
  FM_ALARM_RX_FAILURE = 39,
  FM_ALARM_RXER_FAILURE = 40,
  FM_ALARM_REMOTE_TX_ERROR = 41,
  FM_ALARM_RESOURCE_NEAR_CAPACITY = 42,
  FM_ALARM_RESPONSE_TIME_EXCESSIVE = 43,
  FM_ALARM_RETX_RATE_EXCESSIVE = 44,
  FM_ALARM_SOFTWARE_ERROR = 45,
  FM_ALARM_PROGRAM_TERMINATED = 46,
  FM_ALARM_PROGRAM_ERROR = 47,
  FM_ALARM_STORAGE_PROBLEM = 48,
  FM_ALARM_TEMP_UNACCEPTABLE = 49,
  FM_ALARM_THRESHOLD_CROSSED = 50,
  FM_ALARM_TIMING_PROBLEM = 51,
  FM_ALARM_TOXIC_LEAK_DETECTED = 52,
  FM_ALARM_TRANSMIT_FAILURE = 53,
  FM_ALARM_TRANSMITTER_FAILURE = 54,
  FM_ALARM_UNDERLYING_RESOURCE_UNAVAILABLE = 55,
  FM_ALARM_VERSION_MISMATCH = 56,
  FM_ALARM_DUPLICATE_INFO = 57,
  FM_ALARM_INFO_MISSING = 58,
  FM_ALARM_INFO_MODIFICATION = 59,
  FM_ALARM_INFO_OUT_OF_SEQ = 60,
  FM_ALARM_UNEXPECTED_INFO = 61,
  FM_ALARM_DENIAL_OF_SERVICE = 62,
  FM_ALARM_OUT_OF_SERVICE = 63,
  FM_ALARM_PROCEDURAL_ERROR = 64,
  FM_ALARM_UNSPECIFIED_REASON = 65,
  FM_ALARM_CABLE_TAMPER = 66,
  FM_ALARM_INTRUSION_DETECTION = 67,
  FM_ALARM_AUTH_FAILURE = 68,
  FM_ALARM_BREACH_CONFIDENT = 69,
  FM_ALARM_NON_REPUD_FAILURE = 70,
  FM_ALARM_UNAUTH_ACCESS_ATTEMP = 71,
  FM_ALARM_DELAYED_INFO = 72,
  FM_ALARM_KEY_EXPIRED = 73,
  FM_ALARM_OUT_OF_HR_ACTIVITY = 74,
  FM_ALARM_CAUSE_MAX = 75,
} EFmAlarmProbableCauseT;

// A uuid in its text form, NUL-terminated.
typedef char fm_uuid_t[FM_MAX_BUFFER_LENGTH];

// Microseconds since 1970-01-01 00:00:00 UTC.
typedef unsigned long long FMTimeT;

// `FM_TRUE` or `FM_FALSE`.
typedef unsigned char FMBoolTypeT;

// An alarm to raise or clear, a log to record, or an alarm that stands. Texts are UTF-8.
//
// A call that raises or records looks at every field but uuid; one whose `alarm_state` is
// `FM_ALARM_STATE_CLEAR` looks at `alarm_id`, `alarm_state` and `entity_instance_id` only.
typedef struct SFmAlarmDataT {
  // Given by the library: what a caller puts here is not looked at.
  fm_uuid_t uuid;
  // What happened, by its id in the catalogue.
  char alarm_id[FM_MAX_BUFFER_LENGTH];
  // Raise, clear or record.
  enum EFmAlarmStateT alarm_state;
  // The kind of entity, such as "host.port".
  char entity_type_id[FM_MAX_BUFFER_LENGTH];
  // The entity; empty for the whole system.
  char entity_instance_id[FM_MAX_BUFFER_LENGTH];
  // When it was noticed; 0 means now.
  FMTimeT timestamp;
  // How bad it is; `FM_ALARM_SEVERITY_CLEAR` asks for a clear.
  enum EFmAlarmSeverityT severity;
  // What happened, for people.
  char reason_text[FM_MAX_BUFFER_LENGTH];
  // The kind of fault.
  enum EFmAlarmTypeT alarm_type;
  // Why it came about.
  enum EFmAlarmProbableCauseT probable_cause;
  // What a person should do about it.
  char proposed_repair_action[FM_MAX_BUFFER_LENGTH];
  // Whether the service is affected.
  FMBoolTypeT service_affecting;
  // Whether operators may suppress alarms of this kind.
  FMBoolTypeT suppression;
  // Kept for callers; nothing looks at it.
  FMBoolTypeT inhibit_alarms;
  // Leave an alarm that stands as it is, its uuid and time included.
  FMBoolTypeT keep_existing_alarm;
} SFmAlarmDataT;

// Names one alarm, or, where a call says so, the alarms with this id of an entity and of what lies under
// it.
typedef struct AlarmFilter {
  // The alarm's id in the catalogue.
  char alarm_id[FM_MAX_BUFFER_LENGTH];
  // The entity.
  char entity_instance_id[FM_MAX_BUFFER_LENGTH];
} AlarmFilter;

// The path of an entity, such as "host=compute-1.port=eth0", NUL-terminated.
typedef char fm_ent_inst_t[FM_MAX_BUFFER_LENGTH];

// An alarm's id in the catalogue, such as "300.010", NUL-terminated.
typedef char fm_alarm_id[FM_MAX_BUFFER_LENGTH];

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Raises an alarm, clears it or records a log, as its state and severity say. `FM_ERR_OK` means that it is on
// this node's disk and will reach the controller. Writes the alarm's uuid (for a clear, the empty text)
// unless `uuid` is NULL.
enum EFmErrorT fm_set_fault(const struct SFmAlarmDataT *alarm, fm_uuid_t *uuid);

// As `fm_set_fault` for each alarm of an array, all of them or, on any error, none.
enum EFmErrorT fm_set_fault_array(const struct SFmAlarmDataT *alarms, size_t count);

// Clears the alarm that the filter names. `FM_ERR_ENTITY_NOT_FOUND` when there is none.
enum EFmErrorT fm_clear_fault(struct AlarmFilter *filter);

// Clears every alarm of an entity and of what lies under it. `FM_ERR_ENTITY_NOT_FOUND` when there is none,
// `FM_ERR_INVALID_PARAMETER` for the empty entity.
enum EFmErrorT fm_clear_all(fm_ent_inst_t *inst_id);

// Clears the alarms that the filters of an array name, all of them or, on any error, none. Filters that
// match nothing are no error.
enum EFmErrorT fm_clear_fault_array(const struct AlarmFilter *filters, size_t count);

// The alarm with exactly this id and entity. `FM_ERR_ENTITY_NOT_FOUND` when there is none.
enum EFmErrorT fm_get_fault(struct AlarmFilter *filter, struct SFmAlarmDataT *alarm);

// The alarms of an entity and of what lies under it, ordered by time raised. `max` is how many `alarms`
// holds; afterwards, how many were written. When there are more, `FM_ERR_NOT_ENOUGH_SPACE`, and nothing is
// written; when there is none, `FM_ERR_ENTITY_NOT_FOUND`, and `max` is 0.
enum EFmErrorT fm_get_faults(fm_ent_inst_t *inst_id, struct SFmAlarmDataT *alarms, unsigned int *max);

// The alarms with this id; otherwise as `fm_get_faults`.
enum EFmErrorT fm_get_faults_by_id(fm_alarm_id *alarm_id, struct SFmAlarmDataT *alarms, unsigned int *max);

// The alarms with this id, of the entity and of what lies under it; otherwise as `fm_get_faults`, but for a
// `max` of 0, which means `DEF_MAX_ALARMS`.
enum EFmErrorT fm_get_faults_by_id_n_eid(struct AlarmFilter *filter,
                                         struct SFmAlarmDataT *alarms,
                                         unsigned int *max);

// As `fm_set_fault`, but returns as soon as the request is in the agent's socket: it is taken also when the
// process ends at once. What goes wrong later is in the agent's log.
enum EFmErrorT fm_set_fault_async(const struct SFmAlarmDataT *alarm, fm_uuid_t *uuid);

// As `fm_clear_fault`, but returns as soon as the request is in the agent's socket. An alarm that is not
// there is no error.
enum EFmErrorT fm_clear_fault_async(struct AlarmFilter *filter);

// As `fm_clear_all`, but returns as soon as the request is in the agent's socket. An entity without alarms is
// no error.
enum EFmErrorT fm_clear_all_async(fm_ent_inst_t *inst_id);

// Sets how long a call may last from now on, in this process, in milliseconds: sets and clears `write_ms`,
// the others `read_ms`. 0 brings back what the environment says (`FM_API_TIMEOUT_MS`,
// `FM_API_READ_TIMEOUT_MS`), else 1000 and 5000.
enum EFmErrorT fm_set_timeout_ms(unsigned int write_ms, unsigned int read_ms);

// What an error code means, in words. Never NULL; the text lives as long as the library.
const char *fm_strerror(enum EFmErrorT code);

// Why this thread's last call failed, in words: copies as much as `size` bytes hold into `buffer`, always
// NUL-terminated, and returns the whole length without the NUL. The empty text when it succeeded.
size_t fm_last_error_message(char *buffer, size_t size);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#ifdef __cplusplus
extern "C" {

// As fm_set_fault_array.
EFmErrorT fm_set_fault_list(const std::vector<SFmAlarmDataT> *alarms);

// As fm_clear_fault_array.
EFmErrorT fm_clear_fault_list(std::vector<AlarmFilter> *filters);

}  // extern "C"
#endif

#endif  // FM_API_H
