package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// cleanRegistry deletes the sample programs' artifacts of the last run. The
// manager would adopt them, but only while the bundles are the same: a tag that
// names other files is never overwritten, and the samples may have changed since.
func (s *stack) cleanRegistry(ctx context.Context) error {
	for _, p := range programs {
		repository := fmt.Sprintf("http://%s/v2/%s/%s/%s", s.registry.Host(), registryPrefix, p.namespace, p.name)
		var tags struct{ Tags []string }
		if _, err := ask(ctx, http.MethodGet, repository+"/tags/list", &tags); isNotFound(err) {
			continue
		} else if err != nil {
			return err
		}
		for _, tag := range tags.Tags {
			header, err := ask(ctx, http.MethodHead, repository+"/manifests/"+url.PathEscape(tag), nil)
			if isNotFound(err) {
				continue // went with another tag of the same manifest
			}
			if err != nil {
				return err
			}
			if _, err := ask(ctx, http.MethodDelete, repository+"/manifests/"+header.Get("Docker-Content-Digest"), nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// ask sends a request to the registry and reads an answer that is JSON. Any
// status but a good one is a *statusError.
func ask(ctx context.Context, method, address string, into any) (http.Header, error) {
	request, err := http.NewRequestWithContext(ctx, method, address, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", manifestType)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("removing the last run's artifacts: %w", err)
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return nil, fmt.Errorf("removing the last run's artifacts: %w", err)
	}
	if response.StatusCode/100 != 2 {
		return nil, fmt.Errorf("removing the last run's artifacts: %w", &statusError{url: address, code: response.StatusCode, text: string(text)})
	}
	if into != nil {
		err = json.Unmarshal(text, into)
	}
	return response.Header, err
}

func isNotFound(err error) bool {
	status, ok := errors.AsType[*statusError](err)
	return ok && status.code == http.StatusNotFound
}
