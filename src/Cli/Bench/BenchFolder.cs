using System.Globalization;
using Dbt.Cli.Guests;

namespace Dbt.Cli.Bench;

/// <summary>What one run of the benchmark puts before its programs: inputs, scripts, agent; /bench there.</summary>
internal sealed class BenchFolder : IDisposable
{
    private const string Resources = "bench-files/";
    private const int Executable = 0x1ED, Plain = 0x1A4;
    private const UnixFileMode Execute = UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute;

    // Nothing that a workload reads: documentation, translations, what the kernel would load.
    private static readonly string[] Unneeded = ["usr/share/doc", "usr/share/man", "usr/share/info", "usr/share/locale", "usr/lib/modules", "boot", "var/lib/dpkg"];

    /// <param name="workloads">The programs.</param>
    /// <param name="scale">How much work.</param>
    public BenchFolder(IEnumerable<Workload> workloads, double scale)
    {
        foreach (string name in new[] { "in", "run", "prepare" })
        {
            Directory.CreateDirectory(In(name));
        }

        BenchInputs.Write(In("in"), scale);
        foreach (string name in new[] { "agent", "environment", "init" })
        {
            using Stream resource = typeof(BenchFolder).Assembly.GetManifestResourceStream(Resources + name) ?? throw new InvalidOperationException($"this build has no {Resources}{name}");
            using FileStream file = File.Create(In(name));
            resource.CopyTo(file);
        }

        foreach (Workload workload in workloads)
        {
            string amount = string.Create(CultureInfo.InvariantCulture, $"N={workload.ScaledAmount(scale)}\n");
            File.WriteAllText(In($"run/{workload.Name}"), $"{amount}{workload.Script}\n");
            if (workload.Preparation is string preparation)
            {
                File.WriteAllText(In($"prepare/{workload.Name}"), $"{amount}{preparation}\n");
            }
        }
    }

    /// <summary>The folder.</summary>
    public string Path { get; } = Directory.CreateTempSubdirectory("dbt-bench").FullName;

    /// <summary>The guests' initramfs: the whole root with this folder in it, so that no disk has a part in any time.</summary>
    /// <param name="tree">The root.</param>
    /// <returns>The file.</returns>
    public string MakeRamdisk(string tree)
    {
        var archive = new CpioArchive();
        archive.AddCharacterDevice("dev/console", 5, 1);
        archive.AddCharacterDevice("dev/null", 1, 3);
        foreach (string folder in new[] { "proc", "sys", "tmp" })
        {
            archive.AddDirectory(folder);
        }

        Add(archive, tree, "", path => Unneeded.Contains(path) || path is "dev" or "bench" or "init");
        Add(archive, Path, "bench", _ => false);
        archive.AddFile("init", File.ReadAllBytes(In("init")), Executable);
        string ramdisk = In("initramfs");
        File.WriteAllBytes(ramdisk, archive.ToArray());
        return ramdisk;
    }

    /// <inheritdoc/>
    public void Dispose() => Directory.Delete(Path, recursive: true);

    private string In(string name) => System.IO.Path.Combine(Path, name);

    private static void Add(CpioArchive archive, string folder, string place, Func<string, bool> isLeftOut)
    {
        foreach (FileSystemInfo entry in new DirectoryInfo(folder).EnumerateFileSystemInfos().OrderBy(entry => entry.Name, StringComparer.Ordinal))
        {
            string path = place.Length == 0 ? entry.Name : $"{place}/{entry.Name}";
            if (isLeftOut(path))
            {
                continue;
            }

            if (entry.LinkTarget is string target)
            {
                archive.AddLink(path, target);
            }
            else if (entry is DirectoryInfo)
            {
                archive.AddDirectory(path);
                Add(archive, entry.FullName, path, isLeftOut);
            }
            else
            {
                archive.AddFile(path, File.ReadAllBytes(entry.FullName), (entry.UnixFileMode & Execute) != 0 ? Executable : Plain);
            }
        }
    }
}
