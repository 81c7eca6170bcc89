using System.Globalization;
using Dbt.Cli.Guests;
using Dbt.Cli.Packages;

namespace Dbt.Cli.Profile;

/// <summary>Finds the guest's programs: in files and folders that the user names, and in the packages that a fetched guest was made of.</summary>
internal static class SymbolFiles
{
    // Of an ordinary root tree nothing that is larger is a program.
    private const long MostBytes = 512 << 20;

    /// <summary>What --symbols names.</summary>
    /// <param name="Path">A file, a folder, or a .deb.</param>
    /// <param name="Address">Where the file is loaded; null where that is found by its contents.</param>
    internal sealed record Place(string Path, uint? Address);

    /// <summary>Reads a word of --symbols: PATH or PATH@ADDRESS.</summary>
    /// <exception cref="ProfileException">It isn't there, or the address is none.</exception>
    public static Place Parse(string word)
    {
        int at = word.LastIndexOf('@');
        if (at < 0 || Path.Exists(word))
        {
            return Path.Exists(word) ? new Place(word, null) : throw new ProfileException($"--symbols: there is no {word}");
        }

        string path = word[..at], number = word[(at + 1)..];
        number = number.StartsWith("0x", StringComparison.OrdinalIgnoreCase) ? number[2..] : number;
        return !File.Exists(path) ? throw new ProfileException($"--symbols: there is no file {path}")
            : uint.TryParse(number, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out uint address) ? new Place(path, address)
            : throw new ProfileException($"--symbols: '{number}' is no address");
    }

    /// <summary>The programs in a place, one after another: they are read when they are asked for.</summary>
    /// <exception cref="ProfileException">The file that the user named is no program of a 32-bit x86 guest.</exception>
    public static IEnumerable<ElfProgram> Read(Place place)
    {
        if (Directory.Exists(place.Path))
        {
            return InFolder(place.Path);
        }

        if (place.Path.EndsWith(".deb", StringComparison.Ordinal))
        {
            return InPackage(place.Path);
        }

        return [ElfProgram.TryParse(place.Path, File.ReadAllBytes(place.Path)) ?? throw new ProfileException($"--symbols: {place.Path} is no 32-bit x86 ELF file")];
    }

    /// <summary>The packages of the guest whose kernel lies at a path, where that is one of <c>dbt guest</c>'s.</summary>
    public static IEnumerable<Place> OfGuest(string? kernel, GuestStore store)
    {
        string? guest = KnownGuests.Names.FirstOrDefault(name => kernel is not null && Path.GetDirectoryName(kernel) == Path.GetFullPath(store.RunFolder(name)));
        string archives = Path.Combine(store.AptFolder, "cache", "archives");
        return guest is null || !Directory.Exists(archives)
            ? []
            : Directory.EnumerateFiles(archives, "*.deb").Where(path => !Path.GetFileName(path).StartsWith("linux-image", StringComparison.Ordinal))
                .OrderBy(path => Likelihood(Path.GetFileName(path), store.Fetched(guest)?.Requested ?? [])).ThenBy(path => path, StringComparer.Ordinal)
                .Select(path => new Place(path, null));
    }

    // What the user asked for, and the C library, are what runs: they are unpacked first.
    private static int Likelihood(string file, IReadOnlyList<string> requested) =>
        requested.Any(name => file.StartsWith(name.Split('-')[0], StringComparison.Ordinal)) ? 0
        : file.StartsWith("libc6_", StringComparison.Ordinal) || file.StartsWith("busybox", StringComparison.Ordinal) ? 1 : 2;

    private static IEnumerable<ElfProgram> InFolder(string folder)
    {
        var options = new EnumerationOptions { RecurseSubdirectories = true, IgnoreInaccessible = true, AttributesToSkip = FileAttributes.ReparsePoint | FileAttributes.Device };
        foreach (string path in Directory.EnumerateFiles(folder, "*", options))
        {
            if (path.EndsWith(".deb", StringComparison.Ordinal))
            {
                foreach (ElfProgram program in InPackage(path))
                {
                    yield return program;
                }
            }
            else if (TryRead(path) is { } program)
            {
                yield return program;
            }
        }
    }

    private static List<ElfProgram> InPackage(string path)
    {
        var programs = new List<ElfProgram>();
        DebArchive.ReadFiles(new PackageFile(Path.GetFileNameWithoutExtension(path), "", path), entry =>
        {
            if (entry.DataStream is { } data && entry.Length is > 0 and < MostBytes)
            {
                byte[] bytes = new byte[entry.Length];
                data.ReadExactly(bytes);
                if (ElfProgram.TryParse(entry.Name, bytes) is { } program)
                {
                    programs.Add(program);
                }
            }
        }, CancellationToken.None);
        return programs;
    }

    private static ElfProgram? TryRead(string path)
    {
        try
        {
            using FileStream file = File.OpenRead(path);
            Span<byte> magic = stackalloc byte[4];
            if (file.Length is 0 or > MostBytes || file.ReadAtLeast(magic, 4, throwOnEndOfStream: false) < 4 || !magic.SequenceEqual("\u007fELF"u8))
            {
                return null;
            }

            return ElfProgram.TryParse(path, File.ReadAllBytes(path));
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return null; // a file of a folder that can't be read names nothing
        }
    }
}
