// The two calls with a vector, as C++ daemons make them. Needs an agent without alarms.

#include "check.h"

#include <string>

int main() {
    std::vector<SFmAlarmDataT> alarms;
    std::vector<AlarmFilter> filters;
    EXPECT(FM_ERR_OK, fm_set_fault_list(&alarms));
    EXPECT(FM_ERR_OK, fm_clear_fault_list(&filters));
    EXPECT(FM_ERR_INVALID_PARAMETER, fm_set_fault_list(nullptr));
    EXPECT(FM_ERR_INVALID_PARAMETER, fm_clear_fault_list(nullptr));

    for (int i = 0; i < 100; i++) {
        std::string entity = "host=v-" + std::to_string(i);
        alarms.push_back(an_alarm(entity.c_str(), "up"));
        filters.push_back(a_filter(entity.c_str()));
    }
    EXPECT(FM_ERR_OK, fm_set_fault_list(&alarms));
    std::vector<SFmAlarmDataT> found(DEF_MAX_ALARMS);
    unsigned int max = DEF_MAX_ALARMS;
    fm_alarm_id id;
    copy_text(id, "100.103");
    EXPECT(FM_ERR_OK, fm_get_faults_by_id(&id, found.data(), &max));
    CHECK(max == 100);
    EXPECT(FM_ERR_OK, fm_clear_fault_list(&filters));
    max = DEF_MAX_ALARMS;
    EXPECT(FM_ERR_ENTITY_NOT_FOUND, fm_get_faults_by_id(&id, found.data(), &max));

    alarms[7].severity = static_cast<EFmAlarmSeverityT>(FM_ALARM_SEVERITY_MAX);
    EXPECT(FM_ERR_INVALID_PARAMETER, fm_set_fault_list(&alarms));
    CHECK(reason_begins("alarms[7].severity: 5 "));
    filters[3].alarm_id[0] = '\0';
    EXPECT(FM_ERR_INVALID_PARAMETER, fm_clear_fault_list(&filters));
    CHECK(reason_begins("filters[3].alarm_id: "));
    return 0;
}
