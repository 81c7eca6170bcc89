using System.Formats.Tar;
using System.Runtime.InteropServices;
using Dbt.Cli.Packages;

#pragma warning disable CA1416 // there is no Windows build

namespace Dbt.Cli.Guests;

/// <summary>
/// A guest's root file system as a folder of ours. Paths begin below its root and are followed as the guest would follow them: a
/// symbolic link never leads out of it. Owners and devices, which only root could make, are remembered beside it (<see cref="Entries"/>).
/// </summary>
internal sealed class RootTree
{
    private const UnixFileMode Usual = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead;
    private const UnixFileMode Readable = UnixFileMode.UserRead, Searchable = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
    private const int MostLinks = 40;

    private readonly Dictionary<string, RootEntry> _entries = new(StringComparer.Ordinal);

    /// <param name="folder">Made if it isn't there.</param>
    public RootTree(string folder)
    {
        Folder = folder;
        Directory.CreateDirectory(folder);
    }

    /// <summary>The folder on the host.</summary>
    public string Folder { get; }

    /// <summary>Files, links and directories by path, without a leading slash.</summary>
    public IReadOnlyDictionary<string, RootEntry> Entries => _entries;

    /// <summary>Bytes that the files need, in blocks of 4 KiB.</summary>
    public long Bytes { get; private set; }

    /// <summary>Whether there is something of that name.</summary>
    public bool Exists(string path) => _entries.ContainsKey(Place(path));

    /// <summary>Adds a file of a package.</summary>
    /// <exception cref="PackageException">Its name leads out of the tree, or it is of a kind that packages don't hold.</exception>
    public void Add(TarEntry entry)
    {
        string path = Clean(entry.Name);
        if (path.Length == 0)
        {
            return;
        }

        switch (entry.EntryType)
        {
            case TarEntryType.Directory:
                AddDirectory(path, entry.Mode, entry.Uid, entry.Gid);
                break;
            case TarEntryType.RegularFile or TarEntryType.V7RegularFile or TarEntryType.ContiguousFile:
                Write(path, entry.DataStream ?? Stream.Null, entry.Mode, entry.Uid, entry.Gid, entry.ModificationTime.UtcDateTime);
                break;
            case TarEntryType.SymbolicLink:
                AddLink(path, entry.LinkName, entry.Uid, entry.Gid);
                break;
            case TarEntryType.HardLink:
                AddHardLink(path, Clean(entry.LinkName));
                break;
            default:
                throw new PackageException($"a package holds {path}, which is neither file, folder nor link ({entry.EntryType})");
        }
    }

    /// <summary>Adds a directory; one that is there, or a link to one, stays what it is.</summary>
    public void AddDirectory(string path, UnixFileMode mode = Usual | UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute, int user = 0, int group = 0)
    {
        string place = Place(path), full = Path.Combine(Folder, place);
        if (_entries.TryGetValue(place, out RootEntry? old) && (old.IsDirectory || Directory.Exists(HostPath(Resolve(place, 0)))))
        {
            return;
        }

        // A link to nothing, which the host would follow to wherever that is on the host.
        Delete(place);
        Directory.CreateDirectory(full, mode | Searchable);
        _entries[place] = new RootEntry(mode, user, group, IsDirectory: true);
    }

    /// <summary>Adds a file; one that is there is replaced.</summary>
    public void AddFile(string path, ReadOnlyMemory<byte> contents, UnixFileMode mode = Usual)
    {
        using var stream = new MemoryStream(contents.ToArray());
        Write(path, stream, mode, 0, 0, null);
    }

    /// <summary>Adds a text file; one that is there is replaced.</summary>
    public void AddText(string path, string text) => AddFile(path, System.Text.Encoding.UTF8.GetBytes(text));

    /// <summary>Adds a symbolic link; what is there is replaced.</summary>
    public void AddLink(string path, string target, int user = 0, int group = 0)
    {
        string place = Place(path);
        if (_entries.TryGetValue(place, out RootEntry? old) && old.IsDirectory)
        {
            throw new PackageException($"{path} is a folder of one package and a link of another");
        }

        Delete(place);
        File.CreateSymbolicLink(Path.Combine(Folder, place), target);
        _entries[place] = new RootEntry(default, user, group, LinkTarget: target);
    }

    /// <summary>Adds a character device that only root may use.</summary>
    public void AddCharacterDevice(string path, int major, int minor) => _entries[Place(path)] = new RootEntry(Readable | UnixFileMode.UserWrite, 0, 0, Device: (major, minor));

    /// <summary>The host's path of something in it, links followed.</summary>
    public string HostPath(string path) => Path.Combine(Folder, Resolve(Clean(path), 0));

    private void Write(string path, Stream contents, UnixFileMode mode, int user, int group, DateTime? modified)
    {
        string place = Place(path), full = Path.Combine(Folder, place);
        Delete(place);
        using (var file = new FileStream(full, new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = Usual }))
        {
            contents.CopyTo(file);
            Bytes += (file.Length + 4095) & ~4095L;
        }

        // After the writing, which would clear set-user-ID; and what we couldn't read, mke2fs couldn't either.
        File.SetUnixFileMode(full, mode | Readable);
        if (modified is DateTime time)
        {
            File.SetLastWriteTimeUtc(full, time);
        }

        _entries[place] = new RootEntry(mode, user, group);
    }

    private void AddHardLink(string path, string target)
    {
        string place = Place(path), other = Place(target);
        if (!_entries.TryGetValue(other, out RootEntry? entry) || entry.IsDirectory)
        {
            throw new PackageException($"a package holds {path}, a link to {target}, which it doesn't hold");
        }

        Delete(place);
        if (HardLink.Create(Path.Combine(Folder, other), Path.Combine(Folder, place)) is int error and not 0)
        {
            throw new IOException($"{path} can't be linked to {target}: {Marshal.GetPInvokeErrorMessage(error)}");
        }

        _entries[place] = entry;
    }

    private void Delete(string place)
    {
        if (_entries.Remove(place))
        {
            File.Delete(Path.Combine(Folder, place));
        }
    }

    // Where a name lies: its folder with all links followed and made where it is absent, and its last part as it stands.
    private string Place(string path)
    {
        string clean = Clean(path);
        int slash = clean.LastIndexOf('/');
        if (slash < 0)
        {
            return clean;
        }

        string parent = Resolve(clean[..slash], 0);
        if (!_entries.ContainsKey(parent))
        {
            AddDirectory(parent);
        }

        return $"{parent}/{clean[(slash + 1)..]}";
    }

    private string Resolve(string path, int depth)
    {
        if (depth > MostLinks)
        {
            throw new PackageException($"{path}: too many links lead from one to the next");
        }

        string at = "";
        string[] parts = path.Split('/');
        for (int i = 0; i < parts.Length; i++)
        {
            string next = at.Length == 0 ? parts[i] : $"{at}/{parts[i]}";
            if (_entries.GetValueOrDefault(next)?.LinkTarget is string target)
            {
                string rest = string.Join('/', parts[(i + 1)..]);
                string whole = target.StartsWith('/') ? target : $"{at}/{target}";
                return Resolve(Clean(rest.Length == 0 ? whole : $"{whole}/{rest}"), depth + 1);
            }

            at = next;
        }

        return at;
    }

    // "." and ".." taken out; the root's parent is the root.
    // The image's file system is filled by lines of a script, in which a name must not become a line of its own.
    private static string Clean(string path)
    {
        if (path.Any(char.IsControl))
        {
            throw new PackageException($"a package holds a name with a control character: {string.Concat(path.Select(letter => char.IsControl(letter) ? '?' : letter))}");
        }

        var parts = new List<string>();
        foreach (string part in path.Split('/'))
        {
            if (part == ".." && parts.Count > 0)
            {
                parts.RemoveAt(parts.Count - 1);
            }
            else if (part is not ("" or "." or ".."))
            {
                parts.Add(part);
            }
        }

        return string.Join('/', parts);
    }
}

/// <summary>What a name in a guest's root is to be.</summary>
/// <param name="Mode">Permission bits, set-ID and sticky bits included.</param>
/// <param name="User">Owner.</param>
/// <param name="Group">Group.</param>
/// <param name="IsDirectory">A directory.</param>
/// <param name="LinkTarget">Where a symbolic link leads; null for anything else.</param>
/// <param name="Device">A character device's numbers; null for anything else.</param>
internal sealed record RootEntry(
    UnixFileMode Mode, int User, int Group, bool IsDirectory = false, string? LinkTarget = null, (int Major, int Minor)? Device = null);
