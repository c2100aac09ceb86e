package charttest

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/controlplane"
	"github.com/miniprogram-dev/miniprogram-operator/internal/controlplane/child"
	"github.com/miniprogram-dev/miniprogram-operator/internal/registrytest"
)

const patience = 3 * time.Minute

// site is a cluster without nodes, a registry with users, and in place of nodes this
// machine, which runs what the Deployments say.
type site struct {
	plane      *controlplane.ControlPlane
	admin      client.Client
	kubeconfig string
	dir        string
	programs   map[string]string
	registry   *registrytest.Registry
	// sources is the URL of the samples' archives.
	sources string
	// ports are those of the machine, by program and the container's port.
	ports map[string]int
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{plane: controlplane.ForTest(t), dir: t.TempDir(), programs: programs(t), ports: map[string]int{}}
	scheme := runtime.NewScheme()
	must(t, clientgoscheme.AddToScheme(scheme))
	must(t, v1alpha1.AddToScheme(scheme))
	var err error
	s.admin, err = client.New(s.plane.Admin(), client.Options{Scheme: scheme})
	must(t, err)
	s.kubeconfig = filepath.Join(s.dir, "kubeconfig")
	must(t, s.plane.WriteKubeconfig(s.kubeconfig, s.plane.Admin()))
	s.registry = registrytest.Start(t, registrytest.Options{Dir: filepath.Join(s.dir, "registry"), BasicAuth: true})
	archives := httptest.NewServer(http.FileServer(http.Dir(filepath.Join(repository(t), "config", "samples", "archives"))))
	t.Cleanup(archives.Close)
	s.sources = archives.URL
	for _, port := range []string{"manager 8081", "manifest-service 8080", "manifest-service 8081"} {
		s.ports[port], err = child.KeepPort(0)
		must(t, err)
	}
	return s
}

// publicURL is where host apps reach the manifest service.
func (s *site) publicURL() string {
	// An Ingress takes no addresses as hosts.
	return fmt.Sprintf("http://localhost:%d", s.ports["manifest-service 8080"])
}

// values are those of this machine, as a file.
func (s *site) values(t *testing.T, more map[string]any) string {
	t.Helper()
	values := map[string]any{
		"registry":  map[string]any{"host": s.registry.Host(), "plainHTTP": true, "pushSecret": "push", "pullSecret": "pull"},
		"publicURL": s.publicURL(),
		"sources":   map[string]any{"allowInsecure": true, "allowedNetworks": []string{"127.0.0.0/8"}},
		// There is one port 8080 on this machine for all who test.
		"manager":              map[string]any{"extraArgs": []string{"--metrics-bind-address=0"}},
		"podDisruptionBudgets": map[string]any{"enabled": true},
		"networkPolicies":      map[string]any{"enabled": true},
		"ingress":              map[string]any{"enabled": true},
	}
	for name, value := range more {
		values[name] = value
	}
	text, err := yaml.Marshal(values)
	must(t, err)
	path := filepath.Join(t.TempDir(), "values.yaml")
	must(t, os.WriteFile(path, text, 0o600))
	return path
}

// prepare makes what has to be there before the chart.
func (s *site) prepare(t *testing.T) {
	t.Helper()
	must(t, s.admin.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: system, Labels: map[string]string{enforce: "restricted"}}}))
	word := base64.StdEncoding.EncodeToString([]byte(registrytest.Username + ":" + registrytest.Password))
	for _, name := range []string{"push", "pull"} {
		must(t, s.admin.Create(t.Context(), &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: name}, Type: corev1.SecretTypeDockerConfigJson,
			StringData: map[string]string{corev1.DockerConfigJsonKey: fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, s.registry.Host(), word)},
		}))
	}
}

var (
	variable = regexp.MustCompile(`\$\(([A-Z_]+)\)`)
	listener = regexp.MustCompile(`^(--[a-z-]+=):([0-9]+)$`)
)

// start runs the container of a Deployment as the cluster has it: its program and its
// arguments, with its environment, its mounts and a token of its account. Only what a
// machine has once is put elsewhere: folders and ports. It is ready when its probe says so.
func (s *site) start(t *testing.T, name string) *child.Process {
	t.Helper()
	var d appsv1.Deployment
	must(t, s.admin.Get(t.Context(), client.ObjectKey{Namespace: system, Name: "miniprogram-" + name}, &d))
	pod := d.Spec.Template.Spec
	container := pod.Containers[0]
	environment := s.environment(t, container)
	folders := s.mount(t, name, pod)
	args := make([]string, 0, len(container.Args))
	for _, arg := range container.Args {
		arg = variable.ReplaceAllStringFunc(arg, func(v string) string { return environment[strings.Trim(v, "$()")] })
		if match := listener.FindStringSubmatch(arg); match != nil {
			arg = match[1] + s.address(t, name, match[2])
		}
		flag, value, _ := strings.Cut(arg, "=")
		for path, folder := range folders {
			if value == path || strings.HasPrefix(value, path+"/") {
				arg = flag + "=" + folder + strings.TrimPrefix(value, path)
			}
		}
		args = append(args, arg)
	}
	process, err := child.Start(child.Command{
		Path: s.programs[strings.TrimPrefix(container.Command[0], "/")], Args: args,
		Env: []string{"KUBECONFIG=" + s.account(t, pod.ServiceAccountName)}, Log: filepath.Join(s.dir, name+".log"),
	})
	must(t, err)
	t.Cleanup(func() { must(t, process.Stop(20*time.Second)) })
	probe := container.ReadinessProbe.HTTPGet
	var port string
	for _, p := range container.Ports {
		if p.Name == probe.Port.String() {
			port = fmt.Sprint(p.ContainerPort)
		}
	}
	await(t, name+" is ready", func() error {
		if !process.Running() {
			t.Fatalf("%s has ended: %v\n%s", name, process.Err(), process.LogTail(20))
		}
		_, err := get(t.Context(), "http://"+s.address(t, name, port)+probe.Path)
		return err
	})
	return process
}

func (s *site) address(t *testing.T, name, port string) string {
	t.Helper()
	if s.ports[name+" "+port] == 0 {
		t.Fatalf("%s listens at :%s, which no port of the container says", name, port)
	}
	return fmt.Sprintf("127.0.0.1:%d", s.ports[name+" "+port])
}

// environment is what Kubernetes would give a container.
func (s *site) environment(t *testing.T, container corev1.Container) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, env := range container.Env {
		ref := env.ValueFrom.ConfigMapKeyRef
		var settings corev1.ConfigMap
		must(t, s.admin.Get(t.Context(), client.ObjectKey{Namespace: system, Name: ref.Name}, &settings))
		value, there := settings.Data[ref.Key]
		if !there {
			t.Fatalf("%s: ConfigMap %s has no %s", env.Name, ref.Name, ref.Key)
		}
		found[env.Name] = value
	}
	return found
}

// mount makes a folder for each mount, with what Kubernetes would put into it.
func (s *site) mount(t *testing.T, name string, pod corev1.PodSpec) map[string]string {
	t.Helper()
	folders := map[string]string{}
	for _, mount := range pod.Containers[0].VolumeMounts {
		folder := filepath.Join(s.dir, name, mount.Name)
		must(t, os.MkdirAll(folder, 0o700))
		folders[mount.MountPath] = folder
		for _, volume := range pod.Volumes {
			if volume.Name != mount.Name {
				continue
			}
			for file, data := range s.content(t, volume) {
				must(t, os.WriteFile(filepath.Join(folder, file), data, 0o600))
			}
		}
	}
	return folders
}

func (s *site) content(t *testing.T, volume corev1.Volume) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	switch {
	case volume.Secret != nil:
		var secret corev1.Secret
		must(t, s.admin.Get(t.Context(), client.ObjectKey{Namespace: system, Name: volume.Secret.SecretName}, &secret))
		return secret.Data
	case volume.ConfigMap != nil:
		var object corev1.ConfigMap
		// As a pod would: the manager writes the keys when it has started.
		await(t, "ConfigMap "+volume.ConfigMap.Name+" is there", func() error {
			return s.admin.Get(t.Context(), client.ObjectKey{Namespace: system, Name: volume.ConfigMap.Name}, &object)
		})
		for file, text := range object.Data {
			files[file] = []byte(text)
		}
	case volume.EmptyDir == nil:
		t.Fatalf("volume %s is of a kind that this test does not mount", volume.Name)
	}
	return files
}

// account writes a kubeconfig with a token of an account that the chart has made.
func (s *site) account(t *testing.T, name string) string {
	t.Helper()
	must(t, s.admin.Get(t.Context(), client.ObjectKey{Namespace: system, Name: name}, &corev1.ServiceAccount{}))
	config, err := s.plane.ServiceAccount(t.Context(), system, name)
	must(t, err)
	path := filepath.Join(s.dir, name+".kubeconfig")
	must(t, s.plane.WriteKubeconfig(path, config))
	return path
}

func await(t *testing.T, what string, check func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for err := check(); err != nil; err = check() {
		if time.Now().After(deadline) {
			t.Fatalf("waiting until %s: %v", what, err)
		}
		<-time.After(100 * time.Millisecond)
	}
}

// get is the body of an answer with status 200.
func get(ctx context.Context, url string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	return readOK(answer)
}
