using System.Globalization;
using System.Text.RegularExpressions;

namespace Dbt.Cli.Packages;

/// <summary>
/// Debian packages of one architecture from the sources that this machine's apt is set up with. Lists, state and downloads lie in a folder
/// of the user's, so that neither root nor <c>dpkg --add-architecture</c> is needed, and nothing on the machine changes. apt does the
/// rest: what depends on what, downloading (it goes on where an interrupted one left off), and checking signatures and sums.
/// </summary>
/// <param name="folder">Where it keeps its things; made when needed.</param>
/// <param name="architecture">As Debian names it.</param>
internal sealed partial class AptSource(string folder, string architecture)
{
    private const string Status = "status", Settings = "apt.conf";

    // What our own guest brings in place of the packages that a kernel and base-files ask for.
    private const string OwnPackage = """
        Package: dbt-guest
        Status: install ok installed
        Maintainer: none
        Architecture: {0}
        Version: 1
        Provides: awk, linux-initramfs-tool, initramfs-tools (= 999), linux-base (= 999), kmod (= 999)
        Description: what dbt itself brings to a guest


        """;

    private string Lists => Path.Combine(folder, "state", "lists");

    private string Archives => Path.Combine(folder, "cache", "archives");

    /// <summary>The stanza of a guest's dpkg status that stands for what we bring.</summary>
    public string OwnStanza => string.Format(CultureInfo.InvariantCulture, OwnPackage, architecture);

    /// <summary>Whether a word can name a package (Debian policy, 5.6.1).</summary>
    public static bool IsPackageName(string name) => PackageName().IsMatch(name);

    /// <summary>Brings the package lists up to date.</summary>
    /// <param name="progress">Gets the part that is done, 0 to 1.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <returns>Null; or what went wrong, where what there is may still do.</returns>
    /// <exception cref="PackageException">There is nothing to go on with.</exception>
    public string? Update(Action<double> progress, CancellationToken cancellation)
    {
        Prepare();
        ToolResult result = Run(progress, cancellation, "-qq", "update");
        if (result.Status == 0 && !result.Errors.Contains("Failed to fetch", StringComparison.Ordinal))
        {
            return null; // it also ends with 0, and warnings, where there is no network
        }

        bool usable = Directory.Exists(Lists) && Directory.EnumerateFiles(Lists).Any(file => file.Contains("_Packages", StringComparison.Ordinal));
        return usable ? result.Complaint : throw Explain("the package lists can't be had", result);
    }

    /// <summary>What has to be unpacked for some packages to run, all that they depend on first.</summary>
    /// <exception cref="PackageException">There is no such package, or it can't be had together with the others.</exception>
    public IReadOnlyList<PackageFile> Resolve(IEnumerable<string> packages, CancellationToken cancellation)
    {
        ToolResult result = Run(null, cancellation, ["-qq", "--simulate", "--no-install-recommends", "install", .. packages]);
        if (result.Status != 0)
        {
            throw Explain("the packages can't be had", result);
        }

        return [.. result.Output.Split('\n').Select(line => Installation().Match(line)).Where(match => match.Success).Select(match =>
        {
            string name = match.Groups["name"].Value, version = match.Groups["version"].Value;
            string file = $"{name}_{version.Replace(":", "%3a", StringComparison.Ordinal)}_{match.Groups["architecture"].Value}.deb";
            return new PackageFile(name, version, Path.Combine(Archives, file));
        })];
    }

    /// <summary>Downloads what isn't there yet of all that <see cref="Resolve"/> names.</summary>
    /// <exception cref="PackageException">It can't be had.</exception>
    public void Download(IReadOnlyCollection<string> packages, IReadOnlyList<PackageFile> files, Action<double> progress, CancellationToken cancellation)
    {
        if (!files.All(file => File.Exists(file.Path)))
        {
            ToolResult result = Run(progress, cancellation, ["-qq", "--yes", "--download-only", "--no-install-recommends", "install", .. packages]);
            if (result.Status != 0)
            {
                throw Explain("the packages can't be had", result);
            }
        }

        PackageFile? missing = files.FirstOrDefault(file => !File.Exists(file.Path));
        if (missing is not null)
        {
            throw new PackageException($"apt-get ended without a word and without package {missing.Name} (looked for {missing.Path})");
        }
    }

    private void Prepare()
    {
        Directory.CreateDirectory(Path.Combine(Lists, "partial"));
        Directory.CreateDirectory(Path.Combine(Archives, "partial"));
        File.WriteAllText(Path.Combine(folder, Status), OwnStanza);

        // Hooks of the machine have no business here; its proxies, sources, keys and preferences have.
        File.WriteAllText(Path.Combine(folder, Settings), $$"""
            #clear APT::Update::Pre-Invoke;
            #clear APT::Update::Post-Invoke;
            #clear APT::Update::Post-Invoke-Success;
            #clear APT::Architectures;
            #clear DPkg::Pre-Install-Pkgs;
            APT::Architecture "{{architecture}}";
            APT::Architectures { "{{architecture}}"; };
            APT::Sandbox::User "root";
            APT::Keep-Downloaded-Packages "true";
            Acquire::Languages "none";
            Acquire::Retries "2";
            Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
            Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";
            Dir::State "{{folder}}/state";
            Dir::State::status "{{folder}}/{{Status}}";
            Dir::Cache "{{folder}}/cache";
            Dir::Log "{{folder}}/log";

            """);
    }

    private ToolResult Run(Action<double>? progress, CancellationToken cancellation, params string[] arguments)
    {
        string[] all = ["-c", Path.Combine(folder, Settings), .. progress is null ? Array.Empty<string>() : ["-o", "APT::Status-Fd=1"], .. arguments];
        try
        {
            return HostTool.Run(new ToolCall("apt-get", all) { OnLine = progress is null ? null : line => Report(line, progress) }, cancellation);
        }
        catch (ToolMissingException exception)
        {
            throw new PackageException($"{exception.Message}, which gets Debian's packages; this works on Debian and kin");
        }
    }

    // dlstatus:NUMBER:PERCENT:TEXT
    private static void Report(string line, Action<double> progress)
    {
        string[] parts = line.Split(':');
        if (parts.Length > 2 && parts[0] == "dlstatus" && double.TryParse(parts[2], NumberStyles.Float, CultureInfo.InvariantCulture, out double percent))
        {
            progress(Math.Clamp(percent / 100, 0, 1));
        }
    }

    private static PackageException Explain(string what, ToolResult result)
    {
        string errors = result.Errors;
        string hint = Has("Unable to locate package", "has no installation candidate") ? "; the name is wrong, or this machine's package sources (/etc/apt) aren't Debian's"
            : Has("Could not resolve", "Temporary failure", "Could not connect", "Connection failed", "Network is unreachable", "timed out") ? "; is there a network?"
            : Has("enough free space", "No space left") ? "; the disk is full"
            : "";
        return new PackageException($"{what}: apt-get says: {result.Complaint}{hint}");

        bool Has(params string[] texts) => texts.Any(text => errors.Contains(text, StringComparison.OrdinalIgnoreCase));
    }

    [GeneratedRegex("^[a-z0-9][a-z0-9+.-]*[a-z0-9+]$")]
    private static partial Regex PackageName();

    // Inst NAME (VERSION ORIGIN... [ARCHITECTURE])
    [GeneratedRegex(@"^Inst (?<name>[^ :]+)(:\S+)? \((?<version>\S+) .*\[(?<architecture>\w+)\]\)")]
    private static partial Regex Installation();
}

/// <summary>A package that apt has got or will get.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Version">Its version.</param>
/// <param name="Path">The .deb file.</param>
internal sealed record PackageFile(string Name, string Version, string Path);
