package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// mountKeys waits for the public keys that the manager writes, puts them where the
// manifest service reads them, and from then on does so whenever they change, as the
// kubelet does with a mounted ConfigMap: a rotation reaches the service.
func (s *stack) mountKeys(ctx context.Context) error {
	var keys corev1.ConfigMap
	name := client.ObjectKey{Namespace: systemNamespace, Name: trustedKeys}
	err := until(ctx, "the manager to write ConfigMap "+name.String(), time.Minute, s.tails(), func(ctx context.Context) error {
		err := s.client.Get(ctx, name, &keys)
		if err == nil && len(keys.Data) == 0 {
			return errors.New("it is empty")
		}
		return err
	})
	if err != nil {
		return err
	}
	if err := writeFolder(s.keysDir(), keys.Data); err != nil {
		return fmt.Errorf("writing the public keys: %w", err)
	}
	for _, file := range slices.Sorted(maps.Keys(keys.Data)) {
		s.keys += keys.Data[file]
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	s.unmountKeys = func() {
		cancel()
		<-done
	}
	go func() {
		defer close(done)
		s.followKeys(ctx)
	}()
	return nil
}

// followKeys writes the keys of each change until the context ends.
func (s *stack) followKeys(ctx context.Context) {
	for ctx.Err() == nil {
		events, err := s.client.Watch(ctx, &corev1.ConfigMapList{}, client.InNamespace(systemNamespace), client.MatchingFields{"metadata.name": trustedKeys})
		if err != nil {
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
			continue
		}
		for event := range events.ResultChan() {
			keys, is := event.Object.(*corev1.ConfigMap)
			if !is || event.Type == watch.Deleted || len(keys.Data) == 0 {
				continue // what is mounted stays
			}
			if err := writeFolder(s.keysDir(), keys.Data); err != nil {
				s.out.say("the public keys do not reach the manifest service: %v", err)
			}
		}
	}
}

// writeFolder makes dir a folder with these files and no other. It is a link that is
// exchanged in one step, so that whoever reads it sees the files of one moment. The
// folder before stays until the next change, for somebody may be reading it.
func writeFolder(dir string, files map[string]string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return err
	}
	next, err := os.MkdirTemp(filepath.Dir(dir), filepath.Base(dir)+".")
	if err != nil {
		return err
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(next, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	before, err := os.Readlink(dir)
	if err != nil { // there is none, or a folder of an earlier demo
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	link := next + ".link"
	if err := os.Symlink(filepath.Base(next), link); err != nil {
		return err
	}
	if err := os.Rename(link, dir); err != nil {
		return err
	}
	return removeOthers(dir, filepath.Base(next), before)
}

// removeOthers removes the folders that the link named earlier, but for two.
func removeOthers(dir string, keep ...string) error {
	entries, err := os.ReadDir(filepath.Dir(dir))
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), filepath.Base(dir)+".") && !slices.Contains(keep, entry.Name()) {
			if err := os.RemoveAll(filepath.Join(filepath.Dir(dir), entry.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}
