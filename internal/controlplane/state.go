package controlplane

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// state is what a control plane's folder keeps between two starts, but for
// etcd's data and the logs.
type state struct {
	dir  string
	lock *os.File
	// cluster signs the API server and all users; etcd signs etcd and the API server
	// as its only client, so that no user of the cluster may read etcd past
	// RBAC.
	cluster, etcd *authority
	ports         ports
}

// ports are the loopback ports of the last start; 0 before the first.
type ports struct {
	Etcd      int `json:"etcd"`
	APIServer int `json:"apiServer"`
}

// openState creates or reads the folder and locks it for this process.
func openState(dir string) (*state, error) {
	if dir == "" {
		return nil, errors.New("no folder given for the control plane's state")
	}
	if err := os.MkdirAll(filepath.Join(dir, "pki"), 0o700); err != nil {
		return nil, fmt.Errorf("creating the state folder: %w", err)
	}
	s := &state{dir: dir}
	var err error
	if s.lock, err = lock(filepath.Join(dir, "lock")); err != nil {
		return nil, err
	}
	if err := s.load(); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *state) load() error {
	var err error
	if s.cluster, err = ensureAuthority(s.pki("ca"), "miniprogram control plane"); err != nil {
		return err
	}
	if s.etcd, err = ensureAuthority(s.pki("etcd-ca"), "miniprogram etcd"); err != nil {
		return err
	}
	for path, issue := range map[string]func() (pair, error){
		s.pki("apiserver"):   s.cluster.server,
		s.pki("etcd"):        s.etcd.server,
		s.pki("etcd-client"): func() (pair, error) { return s.etcd.client("kube-apiserver", nil) },
		// Only the key is used, as the signer of service account tokens.
		s.pki("service-account"): func() (pair, error) { return s.cluster.client("service-account-signer", nil) },
	} {
		if err := ensurePair(path, issue); err != nil {
			return err
		}
	}
	data, err := os.ReadFile(s.portsFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the ports of the last start: %w", err)
	}
	if err := json.Unmarshal(data, &s.ports); err != nil {
		return fmt.Errorf("reading the ports of the last start from %s: %w", s.portsFile(), err)
	}
	return nil
}

// save records the ports for the next start.
func (s *state) save() error {
	data, err := json.Marshal(s.ports)
	if err != nil {
		return fmt.Errorf("recording the ports: %w", err)
	}
	if err := writeFile(s.portsFile(), data); err != nil {
		return fmt.Errorf("recording the ports: %w", err)
	}
	return nil
}

// close gives the folder free for another process.
func (s *state) close() error { return s.lock.Close() }

// pki is the path of a certificate and its key without ".crt" and ".key".
func (s *state) pki(name string) string { return filepath.Join(s.dir, "pki", name) }

func (s *state) portsFile() string { return filepath.Join(s.dir, "ports.json") }

// lock takes the file's lock, which the kernel gives back when this process
// ends.
func lock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the state folder's lock: %w", err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = fmt.Errorf("a control plane already runs in %s; stop it first or use another folder", filepath.Dir(path))
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// writeFile replaces a file, readable by its owner only, in one step, so that a
// kill leaves either the old or the new one.
func writeFile(path string, data []byte) error {
	temporary := path + ".new"
	if err := os.WriteFile(temporary, data, 0o600); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}
