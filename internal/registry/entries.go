package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/miniprogram-dev/miniprogram-operator/internal/journal"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

// AppendEntry appends an entry of the journal; see Append. Its parts come in the order of
// the names that are given.
func (c *Client) AppendEntry(ctx context.Context, repository string, a *journal.Artifact, parts []string) (string, error) {
	r := Record{
		Repository: repository, Tag: a.Tag, ArtifactType: journal.ArtifactType,
		Layers: []RecordLayer{{MediaType: journal.EntryMediaType, Data: a.Entry}},
	}
	if a.Document != nil {
		r.Layers = append(r.Layers, RecordLayer{MediaType: document.EnvelopeMediaType, Data: a.Document})
	}
	for _, digest := range parts {
		if data, ok := a.Parts[digest]; ok {
			r.Layers = append(r.Layers, RecordLayer{MediaType: journal.PartMediaType, Data: data})
		}
	}
	return c.Append(ctx, r)
}

// ReadEntry reads an entry of the journal, and checks nothing of what it says. Without one
// the error is ErrNotFound; see ReadRecord.
func (c *Client) ReadEntry(ctx context.Context, repository, tag string) (*journal.Artifact, error) {
	record, digest, err := c.ReadRecord(ctx, repository, tag, journal.ArtifactType)
	if err != nil {
		return nil, err
	}
	a := &journal.Artifact{Tag: tag, Digest: digest, Parts: map[string][]byte{}}
	for _, l := range record.Layers {
		switch l.MediaType {
		case journal.EntryMediaType:
			a.Entry = l.Data
		case document.EnvelopeMediaType:
			a.Document = l.Data
		case journal.PartMediaType:
			a.Parts[journal.Digest(l.Data)] = l.Data
		}
	}
	return a, nil
}

// AppendIndex notes that a Rollout publishes for an app ID; see Append.
func (c *Client) AppendIndex(ctx context.Context, index *journal.Index) error {
	raw, err := index.Marshal()
	if err != nil {
		return err
	}
	_, err = c.Append(ctx, Record{
		Repository: journal.AppRepository(index.AppID), Tag: journal.AppTag(index.Namespace, index.Rollout), ArtifactType: journal.IndexType,
		Layers: []RecordLayer{{MediaType: journal.IndexType, Data: raw}},
	})
	return err
}

// Rollouts lists those that have published for an app ID, in the order of their tags.
// What is in the index and does not belong there is left out: entries say themselves of
// which app ID they are.
func (c *Client) Rollouts(ctx context.Context, appID string) ([]journal.Index, error) {
	repository := journal.AppRepository(appID)
	tags, err := c.Tags(ctx, repository)
	if err != nil {
		return nil, err
	}
	var out []journal.Index
	for _, tag := range tags {
		record, _, err := c.ReadRecord(ctx, repository, tag, journal.IndexType)
		if known, ok := errors.AsType[*Error](err); ok && known.Reason == RegistryInconsistent {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading the index of app ID %s: %w", appID, err)
		}
		var index journal.Index
		if json.Unmarshal(record.Layers[0].Data, &index) == nil && index.AppID == appID && journal.AppTag(index.Namespace, index.Rollout) == tag {
			out = append(out, index)
		}
	}
	return out, nil
}
