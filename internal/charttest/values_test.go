package charttest

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

func TestTheLinterFindsNothing(t *testing.T) {
	for _, values := range []string{"least", "everything"} {
		t.Run(values, func(t *testing.T) {
			text, err := helm(t, "", "lint", "--strict", chart(t), "--namespace", system, "--values", valuesFile(t, values))
			must(t, err)
			if strings.Contains(text, "[WARNING]") || strings.Contains(text, "[ERROR]") {
				t.Error(text)
			}
		})
	}
}

func TestWrongValuesAreRefusedWithAWayOut(t *testing.T) {
	for name, test := range map[string]struct {
		flags []string
		want  []string
	}{
		"a misspelt value":              {[]string{"--set", "manager.replica=2"}, []string{"/manager", "'replica' not allowed"}},
		"a value of nowhere":            {[]string{"--set", "replicaCount=2"}, []string{"'replicaCount' not allowed"}},
		"a registry with a scheme":      {[]string{"--set", "registry.host=https://registry.example.com"}, []string{"/registry/host", "https://registry.example.com"}},
		"a URL without a scheme":        {[]string{"--set", "publicURL=miniprograms.example.com"}, []string{"/publicURL", "^(https?://"}},
		"a number as text":              {[]string{"--set-string", "manager.concurrency=many"}, []string{"/manager/concurrency", "want null or integer"}},
		"stamps of another kind":        {[]string{"--set", "admission.stamps=true"}, []string{"/admission/stamps", "'Auto', 'Always', 'Never'"}},
		"an argument that is no flag":   {[]string{"--set", "manager.extraArgs={concurrency}"}, []string{"/manager/extraArgs/0", "^--[a-z]"}},
		"a network that is none":        {[]string{"--set", "sources.allowedNetworks={intranet}"}, []string{"/sources/allowedNetworks/0"}},
		"no registry and no URL":        {[]string{"--set", "registry.host=,publicURL="}, []string{"registry.host is not set: name the registry", "publicURL is not set: say at which URL"}},
		"another namespace":             {[]string{"--namespace", "apps"}, []string{"use --namespace miniprogram-system"}},
		"one host for both":             {[]string{"--set", "runURL=https://miniprograms.example.com:8443"}, []string{"runURL has the host name of publicURL"}},
		"an authority for plain HTTP":   {[]string{"--set", "registry.plainHTTP=true,registry.caConfigMap=ca"}, []string{"registry.caConfigMap is set, but registry.plainHTTP"}},
		"two managers without a lease":  {[]string{"--set", "manager.replicas=2,manager.leaderElection=false"}, []string{"two managers would decide at a time"}},
		"an autoscaler upside down":     {[]string{"--set", "manifestService.autoscaler.enabled=true,manifestService.autoscaler.minReplicas=20"}, []string{"minReplicas (20) is more than maxReplicas (10)"}},
		"a route without a Gateway":     {[]string{"--set", "gateway.enabled=true"}, []string{"gateway.parentRefs is empty: name the Gateway"}},
		"a token without a Prometheus":  {[]string{"--set", "guardrails.prometheusTokenSecret=token"}, []string{"need guardrails.prometheusURL"}},
		"a cluster that is too old":     {[]string{"--kube-version", "1.29.0"}, []string{"kubeVersion", ">=1.30.0-0"}},
		"a port that there cannot be":   {[]string{"--set", "networkPolicies.ports={0}"}, []string{"/networkPolicies/ports/0"}},
		"a Secret's name with a folder": {[]string{"--set", "registry.pushSecret=team/push"}, []string{"/registry/pushSecret"}},
	} {
		t.Run(name, func(t *testing.T) {
			args := append([]string{"template", release, chart(t), "--namespace", system, "--values", valuesFile(t, "least")}, test.flags...)
			text, err := helm(t, "", args...)
			if err == nil {
				t.Fatalf("it is taken:\n%s", text)
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the answer has no %q:\n%v", want, err)
				}
			}
		})
	}
}

// TestTheSchemaKnowsExactlyTheValues holds values.yaml against values.schema.json, but for
// what Kubernetes defines: objects that the schema leaves open.
func TestTheSchemaKnowsExactlyTheValues(t *testing.T) {
	var values, schema map[string]any
	text, err := os.ReadFile(filepath.Join(chart(t), "values.yaml"))
	must(t, err)
	must(t, yaml.UnmarshalStrict(text, &values))
	text, err = os.ReadFile(filepath.Join(chart(t), "values.schema.json"))
	must(t, err)
	must(t, json.Unmarshal(text, &schema))
	compareKeys(t, "", values, schema)
}

func compareKeys(t *testing.T, path string, values, schema map[string]any) {
	t.Helper()
	properties, closed := schema["properties"].(map[string]any)
	if !closed {
		return
	}
	if schema["additionalProperties"] != false {
		t.Errorf("%s: the schema takes values that there are not", path)
	}
	known := slices.Sorted(maps.Keys(properties))
	known = slices.DeleteFunc(known, func(name string) bool {
		return path == "" && name == "global" || path == ".manager.resources" || path == ".manifestService.resources"
	})
	defaults := slices.Sorted(maps.Keys(values))
	if strings.HasSuffix(path, ".resources") {
		return // Kubernetes' own, of which values.yaml says some
	}
	if diff := cmp.Diff(known, defaults); diff != "" {
		t.Errorf("%s (-schema +values.yaml):\n%s", path, diff)
	}
	for name, value := range values {
		below, isMap := value.(map[string]any)
		property, ok := properties[name].(map[string]any)
		if isMap && ok {
			compareKeys(t, path+"."+name, below, property)
		}
	}
}

func TestEveryValueIsSeenWhereItBelongs(t *testing.T) {
	all := render(t, "everything")
	for name, test := range map[string]struct {
		object string
		path   []string
		want   any
	}{
		"image":            {"Deployment miniprogram-system miniprogram-manager", []string{"spec", "template", "spec", "imagePullSecrets"}, []any{map[string]any{"name": "image-pull"}}},
		"replicas":         {"Deployment miniprogram-system miniprogram-manager", []string{"spec", "replicas"}, int64(2)},
		"priority":         {"Deployment miniprogram-system miniprogram-manager", []string{"spec", "template", "spec", "priorityClassName"}, "system-cluster-critical"},
		"nodes":            {"Deployment miniprogram-system miniprogram-manager", []string{"spec", "template", "spec", "nodeSelector"}, map[string]any{"kubernetes.io/os": "linux"}},
		"grace":            {"Deployment miniprogram-system miniprogram-manifest-service", []string{"spec", "template", "spec", "terminationGracePeriodSeconds"}, int64(60)},
		"no own replicas":  {"Deployment miniprogram-system miniprogram-manifest-service", []string{"spec", "replicas"}, nil},
		"run host":         {"ConfigMap miniprogram-system miniprogram-settings", []string{"data", "runURL"}, "https://run.example.net"},
		"service type":     {"Service miniprogram-system miniprogram-manifest-service", []string{"spec", "type"}, "LoadBalancer"},
		"service port":     {"Service miniprogram-system miniprogram-manifest-service", []string{"spec", "ports"}, []any{map[string]any{"name": "http", "port": int64(443), "targetPort": "http"}}},
		"client addresses": {"Service miniprogram-system miniprogram-manifest-service", []string{"spec", "externalTrafficPolicy"}, "Local"},
		"autoscaler":       {"HorizontalPodAutoscaler miniprogram-system miniprogram-manifest-service", []string{"spec", "maxReplicas"}, int64(20)},
		"certificates": {"Ingress miniprogram-system miniprogram-manifest-service", []string{"spec", "tls"}, []any{
			map[string]any{"secretName": "public-tls", "hosts": []any{"miniprograms.example.com"}},
			map[string]any{"secretName": "run-tls", "hosts": []any{"run.example.net"}},
		}},
		"route": {"HTTPRoute miniprogram-system miniprogram-manifest-service", []string{"spec", "hostnames"}, []any{"miniprograms.example.com", "run.example.net"}},
		"ports that the manager reaches": {"NetworkPolicy miniprogram-system miniprogram-manager", []string{"spec", "egress"}, []any{
			map[string]any{"ports": []any{port("UDP", 53), port("TCP", 53), port("UDP", 5353), port("TCP", 5353)}},
			map[string]any{"ports": []any{port("TCP", 443), port("TCP", 6443), port("TCP", 5000), port("TCP", 9090), port("TCP", 8443)}},
			map[string]any{
				"to":    []any{map[string]any{"podSelector": map[string]any{"matchLabels": map[string]any{"app.kubernetes.io/name": "miniprogram-manifest-service"}}}},
				"ports": []any{port("TCP", 8081)},
			},
		}},
		"who reaches the manifest service": {"NetworkPolicy miniprogram-system miniprogram-manifest-service", []string{"spec", "ingress"}, []any{
			map[string]any{
				"from":  []any{map[string]any{"namespaceSelector": map[string]any{"matchLabels": map[string]any{"kubernetes.io/metadata.name": "ingress"}}}},
				"ports": []any{port("TCP", 8080)},
			},
			map[string]any{
				"from": []any{
					map[string]any{"namespaceSelector": map[string]any{"matchLabels": map[string]any{"kubernetes.io/metadata.name": "metrics"}}},
					map[string]any{"podSelector": map[string]any{"matchLabels": map[string]any{"app.kubernetes.io/name": "miniprogram-manager"}}},
				},
				"ports": []any{port("TCP", 8081)},
			},
		}},
		"monitors": {"ServiceMonitor miniprogram-system miniprogram-manager", []string{"spec", "endpoints"}, []any{map[string]any{"port": "metrics", "interval": "30s"}}},
	} {
		t.Run(name, func(t *testing.T) {
			if all[test.object] == nil {
				t.Fatalf("no %s in %v", test.object, slices.Sorted(maps.Keys(all)))
			}
			got, _, err := unstructured.NestedFieldNoCopy(all[test.object].Object, test.path...)
			must(t, err)
			if diff := cmp.Diff(test.want, integers(got)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func port(protocol string, number int64) map[string]any {
	return map[string]any{"port": number, "protocol": protocol}
}

// integers has whole numbers as the API has them; YAML was read with floats.
func integers(value any) any {
	switch v := value.(type) {
	case float64:
		return int64(v)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = integers(v[i])
		}
		return out
	case map[string]any:
		out := map[string]any{}
		for key := range v {
			out[key] = integers(v[key])
		}
		return out
	}
	return value
}
