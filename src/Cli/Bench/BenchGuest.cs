using Dbt.Cli.Guests;
using Dbt.Cli.Packages;

namespace Dbt.Cli.Bench;

/// <summary>The guest "bench": Debian's kernel with the packages of all workloads, and its root as a folder, for native runs.</summary>
internal static class BenchGuest
{
    /// <summary>What the user calls it.</summary>
    public const string Name = "bench";

    private const string Tree = "tree", Unfinished = ".new";

    /// <summary>Makes its files in a folder.</summary>
    /// <exception cref="PackageException">It can't be made, and why.</exception>
    public static void Make(string folder, string aptFolder, GuestRequest request, IFetchProgress progress, CancellationToken cancellation)
    {
        DebianGuest.Make(folder, aptFolder, request with { Packages = [.. Workloads.Packages.Union(request.Packages)] }, progress, cancellation);
        progress.Step("programs for native runs");
        string tree = Directory.CreateDirectory(Path.Combine(folder, Tree)).FullName;
        ToolResult result = HostTool.Run(new ToolCall("debugfs", "-R", $"rdump / {tree}", Path.Combine(folder, GuestStore.Disk)), cancellation);
        if (!File.Exists(Path.Combine(tree, "usr", "bin", "dash")))
        {
            throw new PackageException($"the programs can't be taken out of the disk's image: debugfs says: {result.Complaint}");
        }
    }

    /// <summary>Fetches it where it isn't there, or lacks a workload's package.</summary>
    public static void Ensure(GuestStore store, CancellationToken cancellation)
    {
        GuestManifest? manifest = store.Fetched(Name);
        if (manifest is null || Workloads.Packages.Except(manifest.Requested).Any() || !Directory.Exists(TreeFolder(store)))
        {
            KnownGuests.Fetch(Name, store, new GuestRequest([], null), cancellation);
        }
    }

    /// <summary>Its root file system as a folder.</summary>
    public static string TreeFolder(GuestStore store) => Path.Combine(store.FetchedFolder(Name), Tree);

    /// <summary>The same programs of another architecture, fetched where they aren't there.</summary>
    /// <returns>Their folder.</returns>
    public static string EnsureTree(GuestStore store, string architecture, CancellationToken cancellation)
    {
        string folder = $"{TreeFolder(store)}-{architecture}";
        if (!Directory.Exists(folder))
        {
            FetchDisplay.Show(progress => Unpack(folder + Unfinished, new AptSource(Path.Combine(store.AptFolder, architecture), architecture), progress, cancellation));
            Directory.Move(folder + Unfinished, folder);
        }

        return folder;
    }

    private static void Unpack(string folder, AptSource apt, IFetchProgress progress, CancellationToken cancellation)
    {
        if (Directory.Exists(folder))
        {
            Directory.Delete(folder, recursive: true);
        }

        progress.Step("package lists");
        if (apt.Update(progress.Part, cancellation) is string trouble)
        {
            progress.Warn($"some package lists can't be had, going on with what is there: {trouble}");
        }

        string[] names = ["busybox-static", .. Workloads.Packages];
        IReadOnlyList<PackageFile> packages = apt.Resolve(names, cancellation);
        progress.Step($"download of {packages.Count} packages");
        apt.Download(names, packages, progress.Part, cancellation);
        progress.Step("unpacking");
        var root = new RootTree(folder);
        foreach (string name in new[] { "bin", "sbin", "lib", "lib64" })
        {
            root.AddDirectory($"usr/{name}");
            root.AddLink(name, $"usr/{name}");
        }

        foreach (string name in new[] { "dev", "proc", "tmp", "etc" })
        {
            root.AddDirectory(name);
        }

        for (int i = 0; i < packages.Count; i++)
        {
            DebArchive.ReadFiles(packages[i], root.Add, cancellation);
            progress.Part((double)i / packages.Count);
        }

        root.AddLink("bin/sh", "dash");
    }
}
