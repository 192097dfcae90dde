/* Entity types and alarm ids for C and C++ callers of fault management.
 *
 * @generated from fm-common/data/c_alarm_macros.csv by `cargo xtask gen`; change the table, not this
 * file. The catalogue has more ids than those with a name here. */

#ifndef FM_ALARM_H
#define FM_ALARM_H

/* Kinds of entities, for entity_type_id. */
#define FM_ENTITY_TYPE_SYSTEM "system"
#define FM_ENTITY_TYPE_HOST "host"
#define FM_ENTITY_TYPE_PORT "port"
#define FM_ENTITY_TYPE_INTERFACE "interface"
#define FM_ENTITY_TYPE_DISK "disk"
#define FM_ENTITY_TYPE_SERVICE "service"
#define FM_ENTITY_TYPE_AGENT "agent"
#define FM_ENTITY_TYPE_PROVIDERNET "providernet"
#define FM_ENTITY_TYPE_INSTANCE "instance"

/* What alarm ids begin with. */
#define ALARM_GROUP_GENERAL "100"
#define ALARM_GROUP_MAINTENANCE "200"
#define ALARM_GROUP_NETWORK "300"
#define ALARM_GROUP_HA "400"
#define ALARM_GROUP_SECURITY "500"
#define ALARM_GROUP_LICENSING "600"
#define ALARM_GROUP_VM "700"
#define ALARM_GROUP_STORAGE "800"
#define ALARM_GROUP_SW_MGMT "900"

/* Alarm ids. */
#define FM_ALARM_ID_MTC_LOCK "200.001"
#define FM_ALARM_ID_MTC_CONFIG "200.004"
#define FM_ALARM_ID_MTC_HB "200.005"
#define FM_ALARM_ID_MTC_PMOND "200.006"
#define FM_ALARM_ID_MTC_RESMON "200.007"
#define FM_ALARM_ID_SERVICE_GROUP_STATE "400.001"
#define FM_ALARM_ID_SERVICE_GROUP_REDUNDANCY "400.002"
#define FM_ALARM_ID_PATCH_IN_PROGRESS "900.001"
#define FM_ALARM_ID_PATCH_HOST_INSTALL_FAILED "900.002"
#define FM_ALARM_ID_PATCH_OBS_IN_SYSTEM "900.003"

#endif /* FM_ALARM_H */
