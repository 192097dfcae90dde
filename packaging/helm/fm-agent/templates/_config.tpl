{{/* The agent's configuration. Each key is written in one place here, by the name that the agent reads. */}}
{{- define "fm-agent.config" -}}
[agent]
socket = "/run/fm/fm-agent.sock"
{{ include "fm-agent.config.access" . }}
state_dir = "/var/lib/fm-agent"
{{- with .Values.agent }}
durability = {{ .durability | toJson }}
log = {{ .log | toJson }}
entity_match = {{ .entityMatch | toJson }}
shutdown_grace_ms = {{ .shutdownGraceMs | int64 }}
max_connections = {{ .maxConnections | int64 }}
max_rejected = {{ .maxRejected | int64 }}
rejected_days = {{ .rejectedDays | int64 }}
max_bytes = {{ .maxBytes | int64 }}
max_requests = {{ .maxRequests | int64 }}
high_water = {{ .highWater | float64 | toJson }}

[limits]
buffered_bytes = {{ .bufferedBytes | int64 }}
buffered_bytes_per_user = {{ div (.bufferedBytes | int64) 2 }}
{{- end }}

[access]
{{- range $key := list "read" "write" "admin" }}
{{ $key }} = {{ index $.Values.access $key | toJson }}
{{- end }}

[audit]
to = {{ .Values.audit.to | toJson }}
{{- if .Values.metrics.enabled }}

{{ include "fm-agent.config.metrics" . }}
{{- end }}
{{- range $name := list "platform" "openstack" }}
{{- $domain := index $.Values $name }}
{{- if or (eq $name "platform") (ne $domain.backend "none") }}

[{{ $name }}]
max_in_flight = {{ $domain.maxInFlight | int64 }}
longest_pause_ms = {{ $domain.longestPauseMs | int64 }}
{{- if eq $domain.backend "fmRestApi" }}
{{- include "fm-agent.config.rest" (dict "name" $name "rest" $domain.fmRestApi) }}
{{- else if eq $domain.backend "fmManager" }}

[{{ $name }}.fm_manager]
host = {{ required (printf "%s.fmManager.host is needed with backend fmManager" $name) $domain.fmManager.host | toJson }}
port = {{ $domain.fmManager.port | int64 }}
connect_timeout_ms = {{ $domain.fmManager.connectTimeoutMs | int64 }}
read_timeout_ms = {{ $domain.fmManager.readTimeoutMs | int64 }}
{{- end }}
{{- end }}
{{- end }}
{{- range .Values.routes }}

[[route]]
{{- with .alarmId }}
alarm_id = {{ . | toJson }}
{{- end }}
{{- with .entityTypeId }}
entity_type_id = {{ . | toJson }}
{{- end }}
{{- with .entityInstanceId }}
entity_instance_id = {{ . | toJson }}
{{- end }}
domain = {{ .domain | toJson }}
{{- end }}
{{ end }}

{{/* Who may open the socket: an agent that is not root's lets in nobody else by itself. */}}
{{- define "fm-agent.config.access" -}}
socket_mode = {{ .Values.socket.mode | toJson }}
{{- end }}

{{/* Where the figures are served. */}}
{{- define "fm-agent.config.metrics" -}}
[metrics]
listen = {{ printf "0.0.0.0:%d" (.Values.metrics.port | int64) | toJson }}
{{- end }}

{{/* fm-rest-api of one domain: dict name rest. */}}
{{- define "fm-agent.config.rest" }}
{{- $secrets := printf "/etc/fm/secrets/%s" .name }}
{{- $key := printf "%s.fmRestApi" .name }}

[{{ .name }}.fm_rest_api]
{{- with .rest }}
{{- with .endpoint }}
endpoint = {{ . | toJson }}
{{- end }}
connect_timeout_ms = {{ .connectTimeoutMs | int64 }}
request_timeout_ms = {{ .requestTimeoutMs | int64 }}
{{- if .tls.existingSecret }}
{{- with .tls.caKey }}
ca_file = {{ printf "%s/tls/%s" $secrets . | toJson }}
{{- end }}
{{- with .tls.certKey }}
client_cert_file = {{ printf "%s/tls/%s" $secrets . | toJson }}
{{- end }}
{{- with .tls.keyKey }}
client_key_file = {{ printf "%s/tls/%s" $secrets . | toJson }}
{{- end }}
{{- end }}
{{- if ne .keystone.account "none" }}
{{- include "fm-agent.config.keystone" (dict "name" $.name "key" $key "keystone" .keystone "file" (printf "%s/account" $secrets)) }}
{{- else if not .endpoint }}
{{- fail (printf "%s.endpoint is needed when there is no keystone.account whose catalogue has it" $key) }}
{{- end }}
{{- end }}
{{- end }}

{{/* The account of one domain: dict name key keystone file. */}}
{{- define "fm-agent.config.keystone" }}
{{- $key := .key }}
{{- with .keystone }}
{{- $_ := required (printf "%s.keystone.existingSecret is needed with account %s" $key .account) .existingSecret }}
{{- $file := printf "%s/%s" $.file (required (printf "%s.keystone.secretKey is needed with account %s" $key .account) .secretKey) | toJson }}

[{{ $.name }}.fm_rest_api.keystone]
{{- if eq .account "password" }}
password_file = {{ $file }}
{{- else if eq .account "applicationCredential" }}
application_credential_secret_file = {{ $file }}
{{- else if eq .account "tokenFile" }}
token_file = {{ $file }}
{{- else }}
clouds_file = {{ $file }}
{{- with .secureKey }}
secure_file = {{ printf "%s/%s" $.file . | toJson }}
{{- end }}
{{- end }}
{{- range $name, $value := dict "auth_url" .authUrl "username" .username "user_domain_name" .userDomainName "project_name" .projectName "project_domain_name" .projectDomainName "application_credential_id" .applicationCredentialId "application_credential_name" .applicationCredentialName "region" .region "interface" .interface "service_type" .serviceType "cloud" .cloud }}
{{- with $value }}
{{ $name }} = {{ . | toJson }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* The Secrets that the configuration's files come from: a list of name (of the volume), secret, path, keys. */}}
{{- define "fm-agent.secrets" -}}
{{- $found := list }}
{{- range $name := list "platform" "openstack" }}
{{- $domain := index $.Values $name }}
{{- if eq $domain.backend "fmRestApi" }}
{{- with $domain.fmRestApi.tls }}
{{- if .existingSecret }}
{{- $found = append $found (dict "name" (printf "%s-tls" $name) "secret" .existingSecret "path" (printf "%s/tls" $name) "keys" (compact (list .caKey .certKey .keyKey))) }}
{{- end }}
{{- end }}
{{- with $domain.fmRestApi.keystone }}
{{- if ne .account "none" }}
{{- $found = append $found (dict "name" (printf "%s-account" $name) "secret" .existingSecret "path" (printf "%s/account" $name) "keys" (compact (list .secretKey .secureKey))) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- $found | toJson }}
{{- end }}
