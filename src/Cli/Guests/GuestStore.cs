using Dbt.Cli.Config;
using Dbt.Cli.Packages;

namespace Dbt.Cli.Guests;

/// <summary>
/// Where guests lie. What was fetched is in the cache folder, and can be had again. What runs is a copy in the data folder, made at the first
/// run: its disk keeps what the guest writes, and it has its own kernel, so that a newer fetch doesn't take the modules away from under it.
/// </summary>
/// <param name="cache">$XDG_CACHE_HOME/dbt/guests.</param>
/// <param name="data">$XDG_DATA_HOME/dbt/guests.</param>
internal sealed class GuestStore(string cache, string data)
{
    /// <summary>Names of a guest's files.</summary>
    public const string Kernel = "vmlinuz", Ramdisk = "initramfs", Disk = "root.img", Manifest = "guest.json";

    private const string Unfinished = ".new", Lock = "lock";

    /// <summary>The user's own.</summary>
    public static GuestStore Default => new(UserFolders.Cache("guests"), UserFolders.Data("guests"));

    /// <summary>Where what was fetched is kept, and what runs.</summary>
    public (string Cache, string Data) Folders => (cache, data);

    /// <summary>apt's folder.</summary>
    public string AptFolder => Path.Combine(cache, "apt");

    /// <summary>Where a guest is kept as it was fetched.</summary>
    public string FetchedFolder(string guest) => Path.Combine(cache, guest);

    /// <summary>Where a guest is kept as it runs.</summary>
    public string RunFolder(string guest) => Path.Combine(data, guest);

    /// <summary>A guest as it was fetched; null where it wasn't.</summary>
    public GuestManifest? Fetched(string guest) => GuestManifest.TryRead(Path.Combine(FetchedFolder(guest), Manifest));

    /// <summary>A guest as it runs; null where it hasn't yet.</summary>
    public GuestManifest? Installed(string guest) => GuestManifest.TryRead(Path.Combine(RunFolder(guest), Manifest));

    /// <summary>
    /// Makes a guest's folder in the cache: <paramref name="make"/> fills a new one, which takes the old one's place when it is done.
    /// </summary>
    /// <exception cref="ConfigException">Another process is at it.</exception>
    public void Fill(string guest, Action<string> make)
    {
        Directory.CreateDirectory(cache);
        using FileStream held = Hold(cache, $"guest {guest} is being fetched by another process");
        string work = FetchedFolder(guest) + Unfinished;
        DeleteFolder(work);
        try
        {
            Directory.CreateDirectory(work);
            make(work);
            DeleteFolder(FetchedFolder(guest));
            Directory.Move(work, FetchedFolder(guest));
        }
        finally
        {
            DeleteFolder(work);
        }
    }

    /// <summary>
    /// Makes a fetched guest ready to run, which is a copy at the first time, and holds it: a file system that two guests write is lost.
    /// </summary>
    /// <returns>To be disposed when the guest has ended.</returns>
    /// <exception cref="ConfigException">It runs already, or wasn't fetched.</exception>
    public IDisposable Open(string guest, bool anew)
    {
        string folder = RunFolder(guest);
        Directory.CreateDirectory(folder);
        FileStream held = Hold(folder, $"guest {guest} is running already; its disk {Path.Combine(folder, Disk)} can be used by one at a time");
        try
        {
            if (anew || Installed(guest) is null)
            {
                if (Fetched(guest) is null)
                {
                    throw new ConfigException($"guest {guest} wasn't fetched; see: dbt guest fetch {guest}");
                }

                // The manifest comes last: a copy without one isn't whole.
                File.Delete(Path.Combine(folder, Manifest));
                foreach (string file in new[] { Kernel, Ramdisk, Disk, Manifest })
                {
                    Copy(Path.Combine(FetchedFolder(guest), file), Path.Combine(folder, file));
                }
            }

            return held;
        }
        catch
        {
            held.Dispose();
            throw;
        }
    }

    /// <summary>Deletes a guest as it was fetched, and the packages that it was made of.</summary>
    /// <returns>Whether there was one.</returns>
    public bool RemoveFetched(string guest)
    {
        if (!Directory.Exists(cache))
        {
            return false;
        }

        using FileStream held = Hold(cache, $"guest {guest} is being fetched by another process");
        bool there = Directory.Exists(FetchedFolder(guest));
        DeleteFolder(FetchedFolder(guest));
        DeleteFolder(FetchedFolder(guest) + Unfinished);
        DeleteFolder(AptFolder);
        return there;
    }

    /// <summary>Deletes a guest's disk, and what is beside it.</summary>
    /// <returns>Whether there was one.</returns>
    /// <exception cref="ConfigException">It runs.</exception>
    public bool RemoveInstalled(string guest)
    {
        if (!Directory.Exists(RunFolder(guest)))
        {
            return false;
        }

        using FileStream held = Hold(RunFolder(guest), $"guest {guest} is running");
        bool there = Installed(guest) is not null;
        DeleteFolder(RunFolder(guest));
        return there;
    }

    /// <summary>Bytes on the host's disk of a folder's files; a sparse file counts as what is stored.</summary>
    public static long BytesIn(string folder)
    {
        ToolResult result = HostTool.Run(new ToolCall("du", "-sk", folder));
        return result.Status == 0 && long.TryParse(result.Output.Split('\t')[0], out long kilobytes) ? kilobytes << 10 : 0;
    }

    /// <summary>Copies a file, its holes too; where the host's file system can, without copying anything.</summary>
    public static void Copy(string from, string to)
    {
        string work = to + Unfinished;
        ToolResult result = HostTool.Run(new ToolCall("cp", "--reflink=auto", "--sparse=always", from, work));
        if (result.Status != 0)
        {
            File.Delete(work);
            throw new IOException($"{to} can't be made: {result.Complaint}");
        }

        File.Move(work, to, overwrite: true);
    }

    // The lock goes with the process that has it, however that ends.
    private static FileStream Hold(string folder, string busy)
    {
        try
        {
            return new FileStream(Path.Combine(folder, Lock), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException exception) when (exception is not (FileNotFoundException or DirectoryNotFoundException or PathTooLongException) && File.Exists(Path.Combine(folder, Lock)))
        {
            throw new ConfigException(busy);
        }
    }

    private static void DeleteFolder(string folder)
    {
        if (Directory.Exists(folder))
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
