{{/* Names, labels and images. */}}

{{- define "larder.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* Short enough for what is put behind it, also by the controllers of CronJobs and StatefulSets. */}}
{{- define "larder.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "larder.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "larder.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "larder.selectorLabels" -}}
app.kubernetes.io/name: {{ include "larder.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* Of Larder's own pods, and of no other pod of this release. */}}
{{- define "larder.podSelector" -}}
{{ include "larder.selectorLabels" . }}
app.kubernetes.io/component: server
{{- end -}}

{{- define "larder.labels" -}}
{{ include "larder.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{/* Name of an image. Given: `root`, `image`, and its `tag` where it has no digest. */}}
{{- define "larder.imageName" -}}
{{- $registry := default .image.registry .root.Values.global.imageRegistry -}}
{{- $name := ternary .image.repository (printf "%s/%s" $registry .image.repository) (empty $registry) -}}
{{- if .image.digest -}}
{{- printf "%s@%s" $name .image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name .tag -}}
{{- end -}}
{{- end -}}

{{- define "larder.image" -}}
{{- $own := ternary (printf "%s-vcs" .Chart.AppVersion) .Chart.AppVersion .Values.image.vcs -}}
{{- include "larder.imageName" (dict "root" . "image" .Values.image "tag" (default $own .Values.image.tag)) -}}
{{- end -}}

{{- define "larder.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "larder.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "larder.scheme" -}}
{{- ternary "https" "http" (not (empty .Values.secrets.tls.existingSecret)) -}}
{{- end -}}

{{/* Host of the Service within the cluster. */}}
{{- define "larder.host" -}}
{{- printf "%s.%s.svc" (include "larder.fullname" .) .Release.Namespace -}}
{{- end -}}

{{- define "larder.url" -}}
{{- printf "%s://%s:%d" (include "larder.scheme" .) (include "larder.host" .) (int .Values.service.port) -}}
{{- end -}}

{{- define "larder.adminUrl" -}}
{{- printf "%s://%s:%d" (include "larder.scheme" .) (include "larder.host" .) (int .Values.service.adminPort) -}}
{{- end -}}

{{- define "larder.ipFamilies" -}}
{{- with .Values.service.ipFamilyPolicy }}
ipFamilyPolicy: {{ . }}
{{- end }}
{{- with .Values.service.ipFamilies }}
ipFamilies:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
