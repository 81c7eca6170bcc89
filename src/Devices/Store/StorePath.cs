using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text;

namespace Dbt.Devices.Store;

/// <summary>Names of nodes: what is valid, what a relative one means, parents.</summary>
internal static class StorePath
{
    private const string HomePrefix = "/local/domain/";
    private static readonly System.Buffers.SearchValues<char> Valid =
        System.Buffers.SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-/_@");

    /// <summary>A domain's home, what its relative paths start from.</summary>
    public static string Home(ushort domain) => HomePrefix + domain.ToString(CultureInfo.InvariantCulture);

    /// <summary>Makes an absolute path of what a guest sent, without its terminating NUL.</summary>
    /// <returns>False where it isn't a valid path; <c>@name</c> is not.</returns>
    public static bool TryResolve(ReadOnlySpan<byte> text, ushort domain, [NotNullWhen(true)] out string? path)
    {
        path = null;
        if (text.Length > StoreLimits.AbsolutePath)
        {
            return false;
        }

        string name = Encoding.Latin1.GetString(text);
        if (!name.StartsWith('/'))
        {
            if (name.Length > StoreLimits.RelativePath)
            {
                return false;
            }

            name = Home(domain) + "/" + name;
        }

        if (!IsValid(name))
        {
            return false;
        }

        path = name;
        return true;
    }

    /// <summary>Whether an absolute path is well-formed and within the limits.</summary>
    public static bool IsValid(string path)
    {
        if (path.Length == 0 || path[0] != '/' || path.Length > StoreLimits.AbsolutePath || path.AsSpan().ContainsAnyExcept(Valid)
            || path.Contains("//", StringComparison.Ordinal))
        {
            return false;
        }

        return path.Length == 1 || (path[^1] != '/' && path.Length - HomeLength(path) <= StoreLimits.RelativePath + 1);
    }

    /// <summary>The parent of a path other than the root.</summary>
    public static string Parent(string path)
    {
        int slash = path.LastIndexOf('/');
        return slash == 0 ? "/" : path[..slash];
    }

    /// <summary>A path's last name.</summary>
    public static string Name(string path) => path[(path.LastIndexOf('/') + 1)..];

    /// <summary>The path of a child.</summary>
    public static string Child(string parent, string name) => parent.Length == 1 ? "/" + name : parent + "/" + name;

    /// <summary>Whether <paramref name="path"/> is <paramref name="ancestor"/> or below it.</summary>
    public static bool IsAtOrBelow(string path, string ancestor) =>
        ancestor.Length == 1
        || (path.StartsWith(ancestor, StringComparison.Ordinal) && (path.Length == ancestor.Length || path[ancestor.Length] == '/'));

    // Length of a leading "/local/domain/<number>/", which doesn't count against the relative limit; 0 where there is none.
    private static int HomeLength(string path)
    {
        if (!path.StartsWith(HomePrefix, StringComparison.Ordinal))
        {
            return 0;
        }

        int slash = path.IndexOf('/', HomePrefix.Length);
        return slash < 0 ? 0 : slash;
    }
}
