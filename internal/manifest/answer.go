package manifest

import "strconv"

// answerBytes is about how long the answer about one program is.
const answerBytes = 1 << 10

var typeJSON = []string{"application/json"}

// append writes what encoding/json would, without a look at types: it is most of the work
// of an answer about many programs. (TestAnswersAreWrittenAsEncodingJSONDoes compares.)
func (r *resolveResponse) append(out []byte) []byte {
	out = append(out, `{"programs":[`...)
	for i := range r.Programs {
		if i > 0 {
			out = append(out, ',')
		}
		out = r.Programs[i].append(out)
	}
	return append(out, `]}`...)
}

func (a *resolveAnswer) append(out []byte) []byte {
	out = appendField(out, `{"appID":`, a.AppID)
	out = appendField(out, `,"channel":`, a.Channel)
	out = appendField(out, `,"action":`, string(a.Action))
	out = appendKnown(out, `,"version":`, a.Version)
	out = appendKnown(out, `,"digest":`, a.Digest)
	out = appendKnown(out, `,"contentDigest":`, a.ContentDigest)
	if a.Archive != nil {
		out = a.Archive.append(append(out, `,"archive":`...))
	}
	if a.Content != nil {
		out = a.Content.append(append(out, `,"content":`...))
	}
	out = appendKnown(out, `,"envelopeDigest":`, a.EnvelopeDigest)
	out = appendField(out, `,"reason":`, a.Reason)
	if a.Sequence != 0 {
		out = strconv.AppendInt(append(out, `,"sequence":`...), a.Sequence, 10)
	}
	if a.Bucket != nil {
		out = strconv.AppendInt(append(out, `,"bucket":`...), int64(*a.Bucket), 10)
	}
	return append(out, '}')
}

func (b *resolvedBlob) append(out []byte) []byte {
	out = appendField(out, `{"digest":`, b.Digest)
	out = strconv.AppendInt(append(out, `,"size":`...), b.Size, 10)
	out = appendKnown(out, `,"mediaType":`, b.MediaType)
	out = appendField(out, `,"url":`, b.URL)
	return append(out, '}')
}

// appendKnown leaves out what is empty.
func appendKnown(out []byte, key, value string) []byte {
	if value == "" {
		return out
	}
	return appendField(out, key, value)
}

func appendField(out []byte, key, value string) []byte {
	out = append(out, key...)
	for i := range len(value) {
		if c := value[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			text, err := marshal(value)
			if err != nil {
				panic("a string is always JSON: " + err.Error())
			}
			return append(out, text...)
		}
	}
	return append(append(append(out, '"'), value...), '"')
}
