"""Every scenario of faults: a line each. A scenario's name begins with the number of the promise that it shows."""

from __future__ import annotations

from tests.faults.rows import Scenario
from tests.faults.scenarios.bad_config import r_rel_15_mutated_snapshots
from tests.faults.scenarios.broken_off import r_rel_05_streams_broken_off
from tests.faults.scenarios.broker_away import r_rel_17_broker_away
from tests.faults.scenarios.database_away import r_rel_13_database_away, r_rel_13b_cold_start_without_database
from tests.faults.scenarios.dripping import r_rel_06_slow_drip
from tests.faults.scenarios.hedged import r_rel_04_late_and_hedged
from tests.faults.scenarios.herd import r_rel_24_cold_start_herd
from tests.faults.scenarios.killed import r_rel_19_workers_killed
from tests.faults.scenarios.left import r_rel_18_clients_leave
from tests.faults.scenarios.lying import r_rel_08_errors_in_a_200
from tests.faults.scenarios.malformed import r_rel_07_malformed_streams
from tests.faults.scenarios.overloaded import r_rel_22_overload
from tests.faults.scenarios.propagation import r_rel_14_revocation_reaches_all
from tests.faults.scenarios.redis_away import r_rel_12_redis_away
from tests.faults.scenarios.refused import r_rel_01_connection_refused
from tests.faults.scenarios.republished import r_rel_16_published_under_load
from tests.faults.scenarios.silent import r_rel_04_no_first_byte
from tests.faults.scenarios.slow_clients import r_rel_23_slow_clients
from tests.faults.scenarios.storm import r_rel_10_outage
from tests.faults.scenarios.throttled import r_rel_09_rate_limits
from tests.faults.scenarios.too_much import r_rel_11_too_much
from tests.faults.scenarios.unnamed import r_rel_02_names
from tests.faults.scenarios.untrusted import r_rel_03_untrusted_tls

SCENARIOS: tuple[Scenario, ...] = (
    r_rel_01_connection_refused,
    r_rel_02_names,
    r_rel_03_untrusted_tls,
    r_rel_04_no_first_byte,
    r_rel_04_late_and_hedged,
    r_rel_05_streams_broken_off,
    r_rel_06_slow_drip,
    r_rel_07_malformed_streams,
    r_rel_08_errors_in_a_200,
    r_rel_09_rate_limits,
    r_rel_10_outage,
    r_rel_11_too_much,
    r_rel_12_redis_away,
    r_rel_13_database_away,
    r_rel_13b_cold_start_without_database,
    r_rel_14_revocation_reaches_all,
    r_rel_15_mutated_snapshots,
    r_rel_16_published_under_load,
    r_rel_17_broker_away,
    r_rel_18_clients_leave,
    r_rel_19_workers_killed,
    r_rel_22_overload,
    r_rel_23_slow_clients,
    r_rel_24_cold_start_herd,
)
