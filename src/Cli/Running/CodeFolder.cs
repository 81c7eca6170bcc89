using System.Globalization;
using System.Security.Cryptography;
using Dbt.Cli.Packages;
using Dbt.Translator.Cache;

namespace Dbt.Cli.Running;

/// <summary>A file of compiled code, and what is in it.</summary>
/// <param name="Path">The file.</param>
/// <param name="Bytes">Its length.</param>
/// <param name="Written">When it was written.</param>
/// <param name="Summary">What is in it; null where it is damaged.</param>
internal sealed record CodeFile(string Path, long Bytes, DateTime Written, CodeFileSummary? Summary)
{
    /// <summary>How commands name it: the first digits of the kernel's digest.</summary>
    public string Id => System.IO.Path.GetFileNameWithoutExtension(Path);
}

/// <summary>Where compiled code is kept between runs: a file for each kernel, named by its contents.</summary>
/// <param name="path">$XDG_CACHE_HOME/dbt/code.</param>
internal sealed class CodeFolder(string path)
{
    private const string Extension = ".code";
    private const int IdDigits = 16;

    /// <summary>The user's own.</summary>
    public static CodeFolder Default => new(UserFolders.Cache("code"));

    /// <summary>Its path.</summary>
    public string Path { get; } = path;

    /// <summary>Makes the folder, or makes sure that it is this user's alone.</summary>
    /// <exception cref="IOException">It can't be made, or others may write to it.</exception>
    public void Make() => PrivateFolder.Make(Path, "set XDG_CACHE_HOME");

    /// <summary>The file for a kernel.</summary>
    public string FileOf(ReadOnlySpan<byte> kernel) => FileOfDigest(SHA256.HashData(kernel));

    /// <summary>The file for the kernel of a SHA-256.</summary>
    public string FileOfDigest(ReadOnlySpan<byte> digest) => System.IO.Path.Combine(Path, Convert.ToHexStringLower(digest)[..IdDigits] + Extension);

    /// <summary>All files, the last written first.</summary>
    public IReadOnlyList<CodeFile> Files()
    {
        if (!Directory.Exists(Path))
        {
            return [];
        }

        return [.. new DirectoryInfo(Path).EnumerateFiles("*" + Extension)
            .Select(file => new CodeFile(file.FullName, file.Length, file.LastWriteTime, Summary(file.FullName)))
            .OrderByDescending(file => file.Written)];
    }

    /// <summary>The file that a word means: its id or the beginning of it, a kernel's file, or the name of a kernel that it was made for.</summary>
    /// <returns>None or several.</returns>
    public IReadOnlyList<CodeFile> Find(string word)
    {
        string? ofKernel = File.Exists(word) ? FileOf(File.ReadAllBytes(word)) : null;
        return [.. Files().Where(file => file.Path == ofKernel || file.Id.StartsWith(word, StringComparison.OrdinalIgnoreCase) || (ofKernel is null && file.Summary?.Title == word))];
    }

    /// <summary>A date as listings show it.</summary>
    public static string Show(DateTime time) => time.ToString("yyyy-MM-dd HH:mm", CultureInfo.InvariantCulture);

    private static CodeFileSummary? Summary(string file)
    {
        try
        {
            return CodeStoreFile.Summarise(file);
        }
        catch (InvalidDataException)
        {
            return null;
        }
    }
}
