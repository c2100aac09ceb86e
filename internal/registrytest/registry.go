// Package registrytest runs OCI registries for tests and for the demo: the
// distribution registry, which keeps its data on disk and has no referrers API,
// and a small one in memory that has it. Both are real programs in processes of
// their own, built by `make tools`, that can be stopped and started again. Faulty
// puts faults between a client and any of them.
package registrytest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/miniprogram-dev/miniprogram-operator/internal/controlplane"
	"github.com/miniprogram-dev/miniprogram-operator/internal/controlplane/child"
)

// The one user of a registry with BasicAuth.
const (
	Username = "robot"
	Password = "correct-horse"
)

// passwordHash is the bcrypt hash of Password; the registry reads no other kind.
const passwordHash = "$2a$05$ADub9z1fluZyJhUUmIohOuKpOhvdiPK2eE9LfaXFqFXO14PeEeR5y"

const (
	startTimeout = time.Minute
	stopGrace    = 5 * time.Second
	// portAttempts is how often another port is tried when somebody took the one
	// that was free a moment ago.
	portAttempts = 3
)

// Options says which registry to run.
type Options struct {
	// Dir keeps the data, the configuration and the log. It is created. Start
	// takes a temporary folder when it is empty.
	Dir string
	// Referrers runs the registry that has the referrers API. It forgets
	// everything when it stops and knows no users.
	Referrers bool
	// BasicAuth asks for Username and Password, also to read.
	BasicAuth bool
	// Port is the wanted port on the loopback address. When it is 0 or taken,
	// another one is chosen.
	Port int
}

// Registry is a registry on the loopback address that speaks plain HTTP.
type Registry struct {
	options Options
	port    int
	process *child.Process
}

// Start runs a registry until the end of the test, which fails when the
// registry cannot start.
func Start(t testing.TB, o Options) *Registry {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	r, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Stop(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// StartReferrers runs a registry with the referrers API until the end of the
// test.
func StartReferrers(t testing.TB) *Registry {
	t.Helper()
	return Start(t, Options{Referrers: true})
}

// Run starts a registry and returns when it answers. The context bounds the start
// only. The registry is killed when this process ends.
func Run(ctx context.Context, o Options) (*Registry, error) {
	if o.Dir == "" {
		return nil, errors.New("starting a registry: no folder given for its data")
	}
	if o.Referrers && o.BasicAuth {
		return nil, errors.New("starting a registry: the one with the referrers API knows no users")
	}
	r := &Registry{options: o, port: o.Port}
	if err := r.start(ctx); err != nil {
		return nil, fmt.Errorf("starting a registry: %w", err)
	}
	return r, nil
}

// Host is the registry's name in references: a loopback address and port, which
// stay the same over a Restart.
func (r *Registry) Host() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(r.port)) }

// Stop ends the registry; connections to it are then refused. Stopping twice
// does nothing.
func (r *Registry) Stop() error {
	if err := r.process.Stop(stopGrace); err != nil {
		return fmt.Errorf("stopping the registry: %w", err)
	}
	return nil
}

// Restart stops the registry when it runs and starts it at the same address; it
// fails when somebody else has that now. The one with the referrers API is empty
// then.
func (r *Registry) Restart() error {
	if err := r.Stop(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	port := r.port
	if err := r.start(ctx); err != nil {
		return fmt.Errorf("restarting the registry: %w", err)
	}
	if r.port == port {
		return nil
	}
	r.port = port
	return errors.Join(fmt.Errorf("restarting the registry: somebody took its address %s", r.Host()), r.Stop())
}

func (r *Registry) start(ctx context.Context) error {
	for attempt := 1; ; attempt++ {
		var err error
		if r.port, err = child.KeepPort(r.port); err != nil {
			return err
		}
		command, err := r.command()
		if err != nil {
			return err
		}
		if r.process, err = child.Start(command); err != nil {
			return err
		}
		err = r.awaitReady(ctx)
		if err == nil {
			return nil
		}
		taken := strings.Contains(r.process.LogTail(20), "address already in use")
		if stopErr := r.Stop(); stopErr != nil || !taken || attempt == portAttempts {
			return errors.Join(err, stopErr)
		}
		r.port = 0
	}
}

func (r *Registry) command() (child.Command, error) {
	name, args := "registry", []string{"serve", filepath.Join(r.options.Dir, "config.json")}
	if r.options.Referrers {
		name, args = "referrers", []string{"-listen", r.Host()}
	} else if err := r.writeConfig(); err != nil {
		return child.Command{}, fmt.Errorf("writing the configuration: %w", err)
	}
	root, err := controlplane.RepositoryDir()
	if err != nil {
		return child.Command{}, err
	}
	path := filepath.Join(root, "bin", name)
	if _, err := os.Stat(path); err != nil {
		return child.Command{}, fmt.Errorf("%s is not there: run `make tools`", path)
	}
	return child.Command{
		Path: path, Args: args, Log: filepath.Join(r.options.Dir, name+".log"),
		Env: []string{"OTEL_TRACES_EXPORTER=none"}, // else it looks for a collector
	}, nil
}

// object is a JSON object; the registry reads its configuration as YAML, of
// which JSON is a part.
type object = map[string]any

func (r *Registry) writeConfig() error {
	dir := r.options.Dir
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	config := object{
		"version": "0.1",
		"log":     object{"level": "warn", "accesslog": object{"disabled": true}},
		"storage": object{
			"filesystem": object{"rootdirectory": filepath.Join(dir, "data")},
			"delete":     object{"enabled": true},
		},
		"http": object{"addr": r.Host()},
	}
	if r.options.BasicAuth {
		users := filepath.Join(dir, "users")
		if err := os.WriteFile(users, []byte(Username+":"+passwordHash+"\n"), 0o600); err != nil {
			return err
		}
		config["auth"] = object{"htpasswd": object{"realm": "miniprogram", "path": users}}
	}
	data, err := json.MarshalIndent(config, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "config.json"), data, 0o600)
}

// awaitReady waits for the registry's own answer: with users it is 401.
func (r *Registry) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	want := http.StatusOK
	if r.options.BasicAuth {
		want = http.StatusUnauthorized
	}
	return r.process.AwaitReady(ctx, func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.Host()+"/v2/", nil)
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		if err := response.Body.Close(); err != nil {
			return err
		}
		if response.StatusCode != want {
			return fmt.Errorf("%s answers %s, want %d", request.URL, response.Status, want)
		}
		return nil
	})
}
