"""On which entity each alarm of the catalogue is raised here: type and instance, as a real node has them.

Invariants:

- The longest beginning of an alarm id decides, and every id of the catalogue has one.
- A port has a uuid for a name: the containerized service cannot show a port that it has to translate.
"""

from __future__ import annotations

_PORT = "2b5f2b7e-4b0e-4c0a-9c0e-1f1f4a5b6c7d"
_INTERFACE = "6f0f7c2d-95e1-4d6b-8f0a-0c1a6d0b9e21"
_PROVIDER_NETWORK = "0d1c9ad2-7d44-4f7c-b7a5-3a8f0f6f2c10"
_TENANT = "9a6f6f0a-3a0f-4d0e-9a52-7c3a1f4d2b6e"
_INSTANCE = "c1f5b9d4-5b6e-4f0d-8a63-2e7d4c9b0a15"
_CLUSTER = "e8b7a0c3-14f2-4a6d-b1d9-5f3c6e2a7d80"

#: Beginning of the alarm id: entity type and entity instance.
ENTITIES = {
    "100.": ("host", "host=controller-0"),
    "100.103": ("host.numa", "host=controller-0.numa=node0"),
    "100.104": ("host.filesystem", "host=controller-0.filesystem=/var/log"),
    "100.105": ("host.filesystem", "host=controller-0.filesystem=image-conversion"),
    "100.106": ("host.port", "host=controller-0.port=enp0s3"),
    "100.107": ("host.interface", "host=controller-0.interface=oam0"),
    "100.108": ("host.port", "host=controller-0.port=enp0s8"),
    "100.109": ("host.interface", "host=controller-0.interface=mgmt0"),
    "100.110": ("host.port", "host=compute-1.port=enp0s9"),
    "100.111": ("host.interface", "host=compute-1.interface=cluster0"),
    "100.112": ("host.port", f"host=compute-1.port={_PORT}"),
    "100.113": ("host.interface", f"host=compute-1.interface={_INTERFACE}"),
    "100.114": ("host.ntp", "host=controller-0.ntp=192.0.2.123"),
    "100.115": ("host.processor", "host=compute-1.processor=0"),
    "100.116": ("host.disk", "host=controller-0.disk=cinder-volumes"),
    "100.117": ("host.disk", "host=compute-1.disk=nova-local"),
    "100.119": ("host.ptp", "host=compute-1.ptp=ptp4l-1"),
    "100.120": ("host.kernel", "host=compute-1.kernel=5.10.0-6-amd64"),
    "200.": ("host", "host=compute-1"),
    "200.003": ("host.patch", "host=compute-1.patch=WRCP-24.09.1"),
    "200.005": ("host.network", "host=compute-1.network=management"),
    "200.006": ("host.process", "host=compute-1.process=kubelet"),
    "200.007": ("host.sensor", "host=compute-1.sensor=fan-2"),
    "200.009": ("host.network", "host=compute-1.network=cluster-host"),
    "210.": ("host", "host=controller-0"),
    "250.": ("host", "host=controller-1"),
    "260.": ("name.namespace", "name=system-config.namespace=deployment"),
    "270.": ("host.services", "host=compute-1.services=compute"),
    "275.": ("host.hypervisor", "host=compute-1.hypervisor=0a4a8a4e-2a8e-4a1b-9a63-b8c7d6e5f401"),
    "280.": ("subcloud", "subcloud=subcloud1"),
    "280.002": ("subcloud.resource", "subcloud=subcloud1.resource=dc-cert"),
    "300.": ("host.interface", f"host=compute-1.interface={_INTERFACE}"),
    "300.001": ("host.port", "host=compute-1.port=enp94s0f1"),
    "300.002": ("host.interface", f"host=compute-1.interface={_INTERFACE}"),
    "300.003": ("host.agent", "host=compute-1.agent=0b7f6e5d-dhcp"),
    "300.004": ("host.providernet", f"host=compute-1.providernet={_PROVIDER_NETWORK}"),
    "300.005": ("host.providernet", f"host=compute-2.providernet={_PROVIDER_NETWORK}"),
    "300.010": ("host.ml2driver", "host=compute-1.ml2driver=ovs"),
    "300.012": ("host.openflow-controller", "host=compute-1.openflow-controller=tcp:192.0.2.30:6653"),
    "300.013": ("host.openflow-network", "host=compute-1.openflow-network=physnet0"),
    "300.014": ("host.sdn-controller", "host=compute-1.sdn-controller=ovsdb"),
    "300.015": ("host.openflow-network", "host=compute-2.openflow-network=physnet0"),
    "300.016": ("host.agent", "host=compute-1.agent=bgp-speaker"),
    "400.": (
        "service_domain.service_group.host",
        "service_domain=controller.service_group=vim-services.host=controller-1",
    ),
    "400.003": ("host", "host=controller-0"),
    "400.005": ("host.network", "host=controller-0.network=management"),
    "401.": (
        "service_domain.service_group.host",
        "service_domain=controller.service_group=cloud-services.host=controller-0",
    ),
    "500.": ("host", "host=controller-0"),
    "500.101": ("host", "host=controller"),
    "500.200": ("namespace.certificate", "namespace=deployment.certificate=system-local-ca"),
    "500.210": ("namespace.certificate", "namespace=cert-manager.certificate=system-restapi-gui"),
    "500.500": ("host.file", "host=compute-1.file=/usr/bin/sudo"),
    "700.": ("tenant.instance", f"tenant={_TENANT}.instance={_INSTANCE}"),
    "700.016": ("subsystem", "subsystem=vim"),
    "700.017": ("server-group", "server-group=a4c1d7f2-9e3b-4a8d-b6c5-1f2e3d4c5b6a"),
    "700.211": ("subsystem", "subsystem=vim-instances"),
    "700.212": ("subsystem", "subsystem=vim-instances"),
    "750.": ("k8s_application", "k8s_application=stx-openstack"),
    "800.": ("cluster", f"cluster={_CLUSTER}"),
    "800.002": ("image", "image=cirros.instance-type=m1-tiny"),
    "800.010": ("cluster.peergroup", f"cluster={_CLUSTER}.peergroup=group-0"),
    "800.011": ("cluster.peergroup.host", f"cluster={_CLUSTER}.peergroup=group-0.host=storage-1"),
    "800.100": ("storage", "storage=glance.pool=images"),
    "800.101": ("storage", "storage=cinder.pool=volumes"),
    "800.104": ("storage_backend", "storage_backend=ceph-store"),
    "850.": ("kubernetes", "kubernetes=PV-migration-error"),
    "850.002": ("kubernetes", "kubernetes=k8s-health-check-failed"),
    "900.": ("host", "host=controller-0"),
    "900.1": ("orchestration", "orchestration=sw-patch"),
    "900.2": ("orchestration", "orchestration=sw-upgrade"),
    "900.231": ("host.software", "host=controller-0.software=deploy"),
    "900.3": ("orchestration", "orchestration=fw-update"),
    "900.4": ("orchestration", "orchestration=kube-upgrade"),
    "900.5": ("orchestration", "orchestration=kube-rootca-update"),
    "900.6": ("orchestration", "orchestration=system-config-update"),
    "900.701": ("host", "host=compute-1"),
}


def entity_of(alarm_id: str) -> tuple[str, str]:
    """The entity type and the entity instance for an alarm id."""
    for length in range(len(alarm_id), 0, -1):
        found = ENTITIES.get(alarm_id[:length])
        if found is not None:
            return found
    raise LookupError(f"no entity is known for alarm id {alarm_id}: add one to {__name__}.ENTITIES")
