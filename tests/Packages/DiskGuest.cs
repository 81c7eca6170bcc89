using System.Diagnostics;
using Dbt.Tests.Xen.Builder;

namespace Dbt.Tests.Packages;

/// <summary>A <see cref="ScriptGuest"/> with modules for disks and ext4.</summary>
/// <param name="folder">Where to put what the guest boots from.</param>
/// <param name="script">What busybox' shell does, disks and file systems being there; the guest powers off behind it.</param>
/// <param name="disks">Elements of disk=.</param>
internal sealed class DiskGuest(string folder, string script, params string[] disks) : ScriptGuest(
    folder,
    script,
    ["xen-blkfront", "ext4"],
    ["--engine", "interpreter", "name=disks", "memory=128", $"disk=[{string.Join(',', disks.Select(static disk => $"'{disk}'"))}]"])
{
    /// <summary>Makes an image with an empty ext4 in it.</summary>
    public static void MakeFileSystem(string image, int mebibytes)
    {
        using (FileStream file = File.Create(image))
        {
            file.SetLength((long)mebibytes << 20);
        }

        Assert.Equal((0, ""), Run("mke2fs", "-q", "-F", "-t", "ext4", image));
    }

    /// <summary>Runs a program of the host to its end.</summary>
    public static (int Status, string Errors) Run(string program, params string[] words)
    {
        using Process process = Process.Start(new ProcessStartInfo(Tool.Find(program)!, words) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        string errors = process.StandardError.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, errors + (process.ExitCode == 0 ? "" : output.Result));
    }
}
