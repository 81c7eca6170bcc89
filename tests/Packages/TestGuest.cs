using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Dbt.Cli.Config;
using Dbt.Cli.Guests;
using Dbt.Cli.Packages;

namespace Dbt.Tests.Packages;

/// <summary>
/// The guest "debian" as tests use it, with some packages or none: made once, in a cache of the tests', and anew when what we put into it
/// has changed.
/// </summary>
internal sealed class TestGuest
{
    private const string RecipeFile = "recipe";

    private static readonly Lazy<TestGuest> SmallGuest = new(() => new TestGuest("small", [])), ProgramsGuest = new(() => new TestGuest("programs",
        ["bzip2", "xz-utils", "zstd", "gzip", "tar", "openssl", "lua5.4", "python3-minimal", "perl-base", "sqlite3", "mawk", "gawk", "bc", "sed", "grep", "diffutils",
            "coreutils", "findutils", "stress-ng"]));

    private readonly GuestStore _store;
    private readonly string _name;

    private TestGuest(string name, string[] packages)
    {
        _name = name;
        string cache = UserFolders.Cache("test-guests");
        _store = new GuestStore(cache, cache);
        string recipe = Recipe(packages), file = Path.Combine(_store.FetchedFolder(name), RecipeFile);
        try
        {
            if (_store.Fetched(name) is null || !File.Exists(file) || File.ReadAllText(file) != recipe)
            {
                _store.Fill(name, folder =>
                {
                    DebianGuest.Make(folder, _store.AptFolder, new GuestRequest(packages, null), new Silent(), CancellationToken.None);
                    File.WriteAllText(Path.Combine(folder, RecipeFile), recipe);
                });
            }
        }
        catch (Exception exception) when (exception is PackageException or ConfigException)
        {
            WhyNot = exception.Message;
        }
    }

    /// <summary>Busybox only.</summary>
    public static TestGuest Small => SmallGuest.Value;

    /// <summary>With the programs that programs.sh runs.</summary>
    public static TestGuest Programs => ProgramsGuest.Value;

    /// <summary>Why it can't be had; null where it can.</summary>
    public string? WhyNot { get; }

    /// <summary>Its image, which stays as it is.</summary>
    public string Image => Path.Combine(_store.FetchedFolder(_name), GuestStore.Disk);

    /// <summary>A copy of its image.</summary>
    public string CopyImage(string folder)
    {
        string copy = Path.Combine(folder, GuestStore.Disk);
        GuestStore.Copy(Image, copy);
        return copy;
    }

    /// <summary>As dbt run debian has it, but for the disk.</summary>
    public GuestConfig Configuration(string image, params string[] settings)
    {
        string folder = _store.FetchedFolder(_name);
        return GuestConfigReader.ReadSettings(
            KnownGuests.Configuration(DebianGuest.Name, _store),
            [$"kernel={Path.Combine(folder, GuestStore.Kernel)}", $"ramdisk={Path.Combine(folder, GuestStore.Ramdisk)}", $"disk=[\"{image},raw,xvda,rw\"]", .. settings]);
    }

    /// <summary>The same as a configuration file.</summary>
    public string ConfigurationText(string image, params string[] settings)
    {
        string folder = _store.FetchedFolder(_name);
        const string commandLine = "root=/dev/xvda console=hvc0 mitigations=off norandmaps noisapnp cryptomgr.notests";
        return string.Join('\n',
        [
            $"kernel=\"{Path.Combine(folder, GuestStore.Kernel)}\"", $"ramdisk=\"{Path.Combine(folder, GuestStore.Ramdisk)}\"", $"cmdline=\"{commandLine}\"",
            "memory=192", $"disk=[\"{image},raw,xvda,rw\"]", "vif=['']", .. settings,
        ]) + "\n";
    }

    // What the guest is made of by us: our files, and the code that puts them together as far as a number can tell.
    private static string Recipe(string[] packages)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        Append(string.Join(',', packages) + DebianGuest.Recipe.ToString(CultureInfo.InvariantCulture));
        foreach (string name in typeof(GuestFiles).Assembly.GetManifestResourceNames().Where(name => name.StartsWith(GuestFiles.Prefix, StringComparison.Ordinal)).Order(StringComparer.Ordinal))
        {
            Append(name);
            Append(GuestFiles.Text(name[GuestFiles.Prefix.Length..]));
        }

        return Convert.ToHexString(hash.GetHashAndReset());

        void Append(string text) => hash.AppendData(Encoding.UTF8.GetBytes(text));
    }

    private sealed class Silent : IFetchProgress
    {
        public void Step(string what)
        {
        }

        public void Part(double part)
        {
        }

        public void Warn(string what)
        {
        }
    }
}

/// <summary>A fact that needs the guest "debian", made of packages by apt and kept; says so where it can't be had.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class RequiresDebianGuestFactAttribute : FactAttribute
{
    public RequiresDebianGuestFactAttribute() => Skip = TestGuest.Small.WhyNot;
}

/// <summary>The same for a theory.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class RequiresDebianGuestTheoryAttribute : TheoryAttribute
{
    public RequiresDebianGuestTheoryAttribute() => Skip = TestGuest.Small.WhyNot;
}
