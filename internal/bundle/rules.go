package bundle

// Rule is one line of the table of rules.
type Rule struct {
	// Code is what Finding.Rule holds.
	Code string
	// Meaning is one plain sentence without a full stop.
	Meaning string
}

// Codes of the rules. They appear in statuses and policies and never change.
const (
	ruleZipStructure         = "ZipStructure"
	ruleZipSpanned           = "ZipSpanned"
	ruleZipEncrypted         = "ZipEncrypted"
	ruleZipMethod            = "ZipMethod"
	ruleZipHeaderMismatch    = "ZipHeaderMismatch"
	ruleZipOverlap           = "ZipOverlap"
	ruleZipChecksum          = "ZipChecksum"
	ruleZipSize              = "ZipSize"
	ruleZipFileType          = "ZipFileType"
	ruleLimitArchive         = "LimitArchive"
	ruleLimitExpanded        = "LimitExpanded"
	ruleLimitEntries         = "LimitEntries"
	ruleLimitRatio           = "LimitRatio"
	ruleNameEncoding         = "NameEncoding"
	ruleNameTraversal        = "NameTraversal"
	ruleNameCharacters       = "NameCharacters"
	ruleNameLength           = "NameLength"
	ruleNameCollision        = "NameCollision"
	ruleLayoutRoot           = "LayoutRoot"
	ruleLayoutMissing        = "LayoutMissing"
	ruleManifestJSON         = "ManifestJSON"
	ruleManifestField        = "ManifestField"
	ruleAppIDMismatch        = "AppIDMismatch"
	ruleVersionMismatch      = "VersionMismatch"
	rulePageMissing          = "PageMissing"
	rulePageExternal         = "PageExternal"
	ruleIconMissing          = "IconMissing"
	ruleWidgetMissing        = "WidgetMissing"
	rulePermissionUndeclared = "PermissionUndeclared"
	ruleSecretFound          = "SecretFound"
	ruleJunkFile             = "JunkFile"
)

// Rules lists every rule that Read checks, in the order in which it checks them.
var Rules = []Rule{
	{ruleLimitArchive, "the archive is larger than allowed"},
	{ruleZipStructure, "the file is not a zip archive, or its end record, central directory and files do not fit together exactly"},
	{ruleZipSpanned, "the archive is one part of a split archive"},
	{ruleLimitEntries, "the archive holds more files and folders than allowed"},
	{ruleZipEncrypted, "a file is encrypted"},
	{ruleZipMethod, "a file is compressed otherwise than by deflate"},
	{ruleZipFileType, "an entry is neither a regular file nor a folder"},
	{ruleZipHeaderMismatch, "the central directory and a file's own header say different things"},
	{ruleZipOverlap, "two files share bytes of the archive"},
	{ruleNameEncoding, "a name is not marked as, or is not valid, UTF-8"},
	{ruleNameTraversal, "a name is no plain path below the root"},
	{ruleNameCharacters, "a name holds what W3C MiniApp Packaging forbids, what cannot be seen, or what is not the same on every system"},
	{ruleNameLength, "a name is longer or deeper than allowed"},
	{ruleNameCollision, "two names are the same on a file system that ignores case or Unicode form"},
	{ruleLimitExpanded, "the files are larger together than allowed"},
	{ruleLimitRatio, "the files are compressed more strongly than real content is"},
	{ruleZipSize, "a file expands to another size than the archive says"},
	{ruleZipChecksum, "a file's content is damaged"},
	{ruleSecretFound, "a file holds a private key, or is an environment file"},
	{ruleJunkFile, "a file is of no use to the mini program"},
	{ruleLayoutRoot, "all files are below a folder that should not be there"},
	{ruleLayoutMissing, "a file that the format requires is not there"},
	{ruleManifestJSON, "the manifest is not strict JSON, or is too large"},
	{ruleManifestField, "a member of the manifest is missing or has a wrong value"},
	{ruleAppIDMismatch, "the manifest's app ID is not the mini program's"},
	{ruleVersionMismatch, "the manifest's version is not the one that is published"},
	{rulePageMissing, "a page that the manifest lists has no file"},
	{rulePageExternal, "a page that the manifest lists is outside the bundle"},
	{ruleIconMissing, "an icon that the manifest names has no file"},
	{ruleWidgetMissing, "a widget that the manifest names has no file"},
	{rulePermissionUndeclared, "the manifest requests a permission that the mini program does not declare"},
}
