using System.Diagnostics.CodeAnalysis;

namespace Dbt.Cli.Packages;

/// <summary>
/// A file of a Debian package: <c>package:NAME/PATH</c>, NAME as apt knows it (an architecture may follow, <c>:i386</c>), PATH as the
/// package installs it, without the leading slash.
/// </summary>
internal sealed record PackageReference(string Package, string Path)
{
    private const string Scheme = "package:";

    /// <summary>Parses a reference.</summary>
    /// <returns>False where the text is a plain path.</returns>
    /// <exception cref="PackageException">It begins with package: but names no file of a package.</exception>
    public static bool TryParse(string text, [NotNullWhen(true)] out PackageReference? reference)
    {
        reference = null;
        if (!text.StartsWith(Scheme, StringComparison.Ordinal))
        {
            return false;
        }

        int slash = text.IndexOf('/', StringComparison.Ordinal);
        string package = slash < 0 ? "" : text[Scheme.Length..slash];
        string path = slash < 0 ? "" : text[(slash + 1)..];
        bool named = package.Length > 0 && char.IsAsciiLetterOrDigit(package[0]) && package.All(c => char.IsAsciiLetterOrDigit(c) || "+-.:=~".Contains(c, StringComparison.Ordinal));
        if (!named || path.Length == 0 || path.Split('/').Any(part => part is "" or "." or ".."))
        {
            throw new PackageException($"'{text}' is not package:NAME/PATH");
        }

        reference = new PackageReference(package, path);
        return true;
    }

    /// <inheritdoc/>
    public override string ToString() => $"{Scheme}{Package}/{Path}";
}
