using System.Diagnostics;
using System.Text;
using System.Text.RegularExpressions;
using Dbt.Cli;
using Dbt.Cli.Config;
using Dbt.Cli.Disks;
using Dbt.Cli.Running;
using Dbt.Cli.Terminal;
using Dbt.Tests.Packages;
using Dbt.Translator;

namespace Dbt.Tests.Cli;

/// <summary>Debian's GRUB: to its prompt, files from a disk, and another kernel from that disk.</summary>
public sealed partial class GrubTests : IDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(3);

    private readonly string _folder = Directory.CreateTempSubdirectory("dbt-grub").FullName;
    private readonly StringWriter _errors = new();

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [RequiresPackageTheory(DebianFiles.Grub, "tool:mke2fs", "tool:xorriso")]
    [InlineData(EngineKind.Interpreter, "ext2")]
    [InlineData(EngineKind.Quick, "ext2")]
    [InlineData(EngineKind.Optimized, "ext2")]
    [InlineData(EngineKind.Tiered, "ext2")]
    [InlineData(EngineKind.Tiered, "iso9660")]
    public async Task FilesAreReadFromADisk(EngineKind engine, string format)
    {
        string[] lines = [.. Enumerable.Range(1, 400).Select(i => $"line {i} of a file that fills several blocks")];
        (int status, string output) = await Run(engine, format, "ls\nls (xen/xvda)/\ncat (xen/xvda)/long.txt\nhalt\n", ("long.txt", string.Join('\n', lines) + "\n"));
        Assert.Equal((ExitStatus.Success, ""), (status, _errors.ToString()));
        Assert.Contains("(xen/xvda)", output, StringComparison.Ordinal);
        Assert.Matches(LongFile(), output);
        Assert.All(lines, line => Assert.Contains(line + "\n", output, StringComparison.Ordinal));
    }

    [RequiresPackageTheory(DebianFiles.GrubPvh, "tool:mke2fs")]
    [InlineData(EngineKind.Interpreter)]
    [InlineData(EngineKind.Tiered)]
    public async Task FilesAreReadByPvhToo(EngineKind engine)
    {
        (int status, string output) = await Run(engine, "ext2", "lsmmap\ncat (xen/xvda)/short.txt\nhalt\n", ("short.txt", "read by the PVH one\n"), DebianFiles.GrubPvh);
        Assert.Equal((ExitStatus.Success, ""), (status, _errors.ToString()));
        Assert.Contains("base_addr = 0x0, length = 0x4000000, available RAM", output, StringComparison.Ordinal);
        Assert.Contains("read by the PVH one\n", output, StringComparison.Ordinal);
    }

    [RequiresPackageFact(DebianFiles.Grub, DebianFiles.Mach, "tool:mke2fs")]
    public async Task GnuMachIsLoadedFromTheDisk()
    {
        var clock = Stopwatch.StartNew();
        (int status, string output) = await Run(
            EngineKind.Tiered, "ext2", "linux (xen/xvda)/gnumach.gz\nboot\n", ("gnumach.gz", File.ReadAllBytes(DebianFiles.PathOf(DebianFiles.Mach))));
        Assert.True(status != ExitStatus.Timeout, $"no end after {clock.Elapsed}: {output}");
        Assert.Contains("GNU Mach 1.8", output, StringComparison.Ordinal);
        Assert.Contains("Running on xen-3.0-x86_32p", output, StringComparison.Ordinal);
        Assert.Contains("bootstrap", output, StringComparison.OrdinalIgnoreCase);
    }

    private async Task<(int Status, string Output)> Run(EngineKind engine, string format, string input, (string Name, object Contents) file, string kernel = DebianFiles.Grub)
    {
        string files = Directory.CreateDirectory(Path.Combine(_folder, "files")).FullName, image = Path.Combine(_folder, "disk.img");
        File.WriteAllBytes(Path.Combine(files, file.Name), file.Contents as byte[] ?? Encoding.ASCII.GetBytes((string)file.Contents));
        DiskImage.Create(new DiskImageRequest(image, files, format, SizeMiB: null, Force: false));
        GuestConfig config = GuestConfigReader.Read(null, [$"kernel={DebianFiles.PathOf(kernel)}", "name=grub", "memory=64", $"disk=['{image},raw,xvda,ro']"]);
        var output = new MemoryStream();
        using var runner = new GuestRunner(
            config,
            new RunOptions { Engine = engine, Timeout = Limit },
            output,
            TextWriter.Synchronized(_errors),
            _ => new InputPump(new MemoryStream(Encoding.ASCII.GetBytes(input)), onEscape: null));
        int status = await runner.RunAsync();
        string text = Progress().Replace(Encoding.Latin1.GetString(output.ToArray()), "");
        return (status, Terminal().Replace(text, "").Replace("\r", "", StringComparison.Ordinal));
    }

    // The file, share and rate that GRUB shows beside its output when a read takes long, and the way back to the cursor.
    [GeneratedRegex(@"\x1B\[\d+;\d+H *\[ [^\]]*%[^\]]*\](\x1B\[\d+;\d+H)?")]
    private static partial Regex Progress();

    // What GRUB moves the cursor and sets colours with.
    [GeneratedRegex(@"\x1B\[[0-9;?]*[A-Za-z]")]
    private static partial Regex Terminal();

    [GeneratedRegex(@"ls \(xen/xvda\)/\n.*long\.txt")]
    private static partial Regex LongFile();
}
