package main

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/internal/journal"
	"github.com/miniprogram-dev/miniprogram-operator/internal/registry"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/dsse"
)

// entriesAtOnce are read side by side.
const entriesAtOnce = 8

// auditor reads journals.
type auditor struct {
	registry *registry.Client
	keys     []dsse.Key
}

// auditLog is one journal, in its order.
type auditLog struct {
	// of is a Rollout, as namespace/name, or a host app.
	of      string
	entries []journal.Known
}

// app reads the journals of all Rollouts that have published for an app ID.
func (a *auditor) app(ctx context.Context, appID string) ([]auditLog, error) {
	rollouts, err := a.registry.Rollouts(ctx, appID)
	if err != nil {
		return nil, err
	}
	var logs []auditLog
	for _, r := range rollouts {
		log, err := a.log(ctx, r.Namespace+"/"+r.Rollout, journal.RolloutRepository(r.Namespace, r.Rollout), func(e *journal.Entry) error {
			if e.Rollout == nil || e.Rollout.Namespace != r.Namespace || e.Rollout.Name != r.Rollout {
				return errors.New("it is of another journal")
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		// A Rollout that was deleted and made anew may have published for another app ID. What
		// nothing of can be believed may be about any.
		believed, entries := believedIn([]auditLog{log})
		about := slices.ContainsFunc(log.entries, func(k journal.Known) bool { return k.Entry != nil && k.Entry.AppID == appID })
		if about || believed == 0 && entries > 0 {
			logs = append(logs, log)
		}
	}
	return logs, nil
}

// believedIn counts the entries that can be believed, and all.
func believedIn(logs []auditLog) (believed, entries int) {
	for _, l := range logs {
		entries += len(l.entries)
		for _, k := range l.entries {
			if k.Entry != nil {
				believed++
			}
		}
	}
	return believed, entries
}

func (a *auditor) hostApp(ctx context.Context, name string) (auditLog, error) {
	return a.log(ctx, "host app "+name, journal.HostAppRepository(name), func(e *journal.Entry) error {
		if e.HostApp == nil || e.HostApp.Name != name {
			return errors.New("it is of another journal")
		}
		return nil
	})
}

func (a *auditor) log(ctx context.Context, of, repository string, belongs func(*journal.Entry) error) (auditLog, error) {
	tags, err := a.registry.Tags(ctx, repository)
	if err != nil {
		return auditLog{}, err
	}
	orders := journal.Sort(tags)
	log := auditLog{of: of, entries: make([]journal.Known, len(orders))}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(entriesAtOnce)
	for i, o := range orders {
		group.Go(func() error {
			artifact, err := a.registry.ReadEntry(ctx, repository, o.Tag())
			if err != nil {
				return fmt.Errorf("reading entry %s of %s: %w", o.Tag(), of, err)
			}
			log.entries[i] = journal.Know(artifact, func(x *journal.Artifact) (*journal.Entry, *document.Release, error) {
				e, doc, err := journal.Read(x, a.keys)
				if err == nil {
					err = belongs(e)
				}
				if err != nil {
					return nil, nil, err
				}
				return e, doc, nil
			})
			return nil
		})
	}
	return log, group.Wait()
}

// gapsOf says what the journals lack.
func gapsOf(logs []auditLog) []string {
	var out []string
	for _, l := range logs {
		var checked []journal.Checked
		for _, k := range l.entries {
			checked = append(checked, k.Checked)
		}
		for _, gap := range journal.Gaps(checked) {
			out = append(out, l.of+": "+gap)
		}
	}
	return out
}

// readKeys reads public keys from files and folders.
func readKeys(paths []string) ([]dsse.Key, error) {
	var keys []dsse.Key
	for _, path := range paths {
		files := []string{path}
		if info, err := os.Stat(path); err != nil {
			return nil, fmt.Errorf("--keys: %w", err)
		} else if info.IsDir() {
			if files, err = filepath.Glob(filepath.Join(path, "*")); err != nil {
				return nil, fmt.Errorf("--keys: %w", err)
			}
		}
		for _, file := range files {
			more, err := readKeyFile(file)
			if err != nil {
				return nil, fmt.Errorf("--keys: %s: %w", file, err)
			}
			keys = append(keys, more...)
		}
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("--keys: there is no public key in %v", paths)
	}
	return keys, nil
}

// readKeyFile reads PEM blocks, or the file that host apps are built with.
func readKeyFile(path string) ([]dsse.Key, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var host delivery.HostFile
	if json.Unmarshal(text, &host) == nil {
		text = nil
		for _, k := range host.Keys {
			text = append(text, k.PublicKey+"\n"...)
		}
	}
	var keys []dsse.Key
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			break
		}
		key, err := dsse.ParsePublicKeyPEM(pem.EncodeToMemory(block))
		if err != nil {
			return nil, err
		}
		keys, text = append(keys, key), rest
	}
	if len(bytes.TrimSpace(text)) > 0 || len(keys) == 0 {
		return nil, errors.New("it is neither PEM blocks PUBLIC KEY nor the file of a host app")
	}
	return keys, nil
}
