using Dbt.Cli.Bench;
using Dbt.Cli.Config;

namespace Dbt.Cli.Guests;

/// <summary>The guests that <c>dbt guest</c> can fetch and <c>dbt run NAME</c> runs.</summary>
internal static class KnownGuests
{
    private const string CommandLine = "root=/dev/xvda console=hvc0 mitigations=off norandmaps noisapnp cryptomgr.notests initcall_blacklist=trace_eval_init";
    private const int MemoryMiB = 256;

    /// <summary>Their names.</summary>
    public static IReadOnlyList<string> Names { get; } = [DebianGuest.Name, BenchGuest.Name];

    /// <summary>Packages that one has whether they are named or not, beside those that any guest needs.</summary>
    public static IReadOnlyList<string> OwnPackages(string guest) => guest == BenchGuest.Name ? Workloads.Packages : [];

    /// <summary>Whether a word of the command line means one: a file of that name comes first.</summary>
    public static bool IsNamed(string word) => Names.Contains(word) && !Path.Exists(word);

    /// <summary>Fetches one, shown on standard error. What runs already keeps its disk.</summary>
    /// <exception cref="Packages.PackageException">It can't be made.</exception>
    /// <exception cref="OperationCanceledException">The user ended it.</exception>
    public static void Fetch(string guest, GuestStore store, GuestRequest request, CancellationToken cancellation) =>
        FetchDisplay.Show(progress => store.Fill(guest, folder =>
        {
            Action<string, string, GuestRequest, IFetchProgress, CancellationToken> make = guest == BenchGuest.Name ? BenchGuest.Make : DebianGuest.Make;
            make(folder, store.AptFolder, request, progress, cancellation);
        }));

    /// <summary>How one is run where the command line says nothing else.</summary>
    public static ConfigFile Configuration(string guest, GuestStore store)
    {
        string folder = store.RunFolder(guest);
        var file = new ConfigFile();
        var position = new ConfigPosition($"guest {guest}", 1, 1);
        Set("name", Text(guest));
        Set("kernel", Text(Path.Combine(folder, GuestStore.Kernel)));
        Set("ramdisk", Text(Path.Combine(folder, GuestStore.Ramdisk)));
        Set("memory", new ConfigNumber(position, MemoryMiB));
        Set("cmdline", Text(CommandLine));
        Set("disk", new ConfigList(position, [Text($"format=raw,vdev=xvda,access=rw,target={Path.Combine(folder, GuestStore.Disk)}")]));
        Set("vif", new ConfigList(position, [Text("")]));
        return file;

        ConfigString Text(string text) => new(position, text);

        void Set(string key, ConfigValue value) => file.Set(key, value, append: false);
    }
}
