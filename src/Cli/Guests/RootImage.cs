using System.Globalization;
using System.Text;
using Dbt.Cli.Packages;

namespace Dbt.Cli.Guests;

/// <summary>
/// Makes an ext4 image of a <see cref="RootTree"/> without root's rights: mke2fs copies the files, debugfs sets their owners and modes and
/// makes the devices. The file system's features are ours, not the host's, so that kernels from 4.4 on can mount it.
/// </summary>
internal static class RootImage
{
    private const int RegularType = 0x8000, DirectoryType = 0x4000, CharacterDeviceType = 0x2000;

    /// <summary>Makes the image, sparse.</summary>
    /// <param name="tree">What it holds.</param>
    /// <param name="image">Its path; must not exist.</param>
    /// <param name="sizeMiB">Its size.</param>
    /// <param name="work">A folder for what is needed meanwhile.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <exception cref="PackageException">It can't be made.</exception>
    public static void Make(RootTree tree, string image, int sizeMiB, string work, CancellationToken cancellation)
    {
        using (var stream = new FileStream(image, FileMode.CreateNew))
        {
            stream.SetLength((long)sizeMiB << 20);
        }

        string settings = Path.Combine(work, "mke2fs.conf"), commands = Path.Combine(work, "debugfs.commands");
        File.WriteAllText(settings, GuestFiles.Text("mke2fs.conf"));
        File.WriteAllText(commands, Commands(tree));

        // Lazy initialisation would leave the inode tables to be cleared by the guest.
        Run(new ToolCall("mke2fs", "-q", "-F", "-t", "ext4", "-L", "root", "-E", "lazy_itable_init=0,lazy_journal_init=0", "-d", tree.Folder, image)
        {
            Environment = new Dictionary<string, string> { ["MKE2FS_CONFIG"] = settings },
        }, cancellation, _ => true);
        Run(new ToolCall("debugfs", "-w", "-f", commands, image), cancellation, line => !line.StartsWith("debugfs ", StringComparison.Ordinal));
    }

    private static string Commands(RootTree tree)
    {
        var commands = new StringBuilder();
        foreach ((string path, RootEntry entry) in tree.Entries.Append(new("", new RootEntry(default, 0, 0, LinkTarget: ""))))
        {
            string quoted = $"\"/{path.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";
            if (entry.Device is (int major, int minor))
            {
                int slash = path.LastIndexOf('/');
                Add($"cd /{path[..slash]}");
                Add($"mknod {path[(slash + 1)..]} c {major} {minor}");
                Add("cd /");
            }

            Add($"set_inode_field {quoted} uid {entry.User}");
            Add($"set_inode_field {quoted} gid {entry.Group}");
            if (entry.LinkTarget is null)
            {
                int mode = (entry.IsDirectory ? DirectoryType : entry.Device is null ? RegularType : CharacterDeviceType) | (int)entry.Mode;
                Add($"set_inode_field {quoted} mode 0{Convert.ToString(mode, 8)}");
            }
        }

        return commands.ToString();

        void Add(string command) => commands.Append(CultureInfo.InvariantCulture, $"{command}\n");
    }

    // debugfs ends with 0 whatever happens.
    private static void Run(ToolCall call, CancellationToken cancellation, Func<string, bool> isComplaint)
    {
        try
        {
            ToolResult result = HostTool.Run(call, cancellation);
            string[] complaints = [.. result.Errors.Split('\n').Where(line => line.Trim().Length > 0 && isComplaint(line))];
            if (result.Status != 0 || (call.Program == "debugfs" && complaints.Length > 0))
            {
                string line = complaints.Length == 0 ? $"status {result.Status}" : complaints[^1].Trim();
                bool small = result.Errors.Contains("Could not allocate", StringComparison.OrdinalIgnoreCase);
                bool full = result.Errors.Contains("No space left", StringComparison.OrdinalIgnoreCase);
                throw new PackageException($"the root image can't be made: {call.Program} says: {line}{(full ? "; the disk is full" : small ? "; give a larger --size" : "")}");
            }
        }
        catch (ToolMissingException exception)
        {
            throw new PackageException($"{exception.Message}; install package e2fsprogs");
        }
    }
}
