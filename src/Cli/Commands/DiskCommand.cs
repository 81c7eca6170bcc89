using System.CommandLine;
using Dbt.Cli.Disks;

namespace Dbt.Cli.Commands;

/// <summary><c>dbt disk create</c>.</summary>
internal static class DiskCommand
{
    /// <summary>Makes the command.</summary>
    public static Command Create()
    {
        var image = new Argument<string>("IMAGE") { Description = "The image file to make." };
        var from = new Option<string?>("--from") { Description = "A folder whose files it is to hold.", HelpName = "FOLDER" };
        var format = new Option<string>("--format") { Description = "ext2 (the default), iso9660, or raw (empty).", HelpName = "F", DefaultValueFactory = _ => "ext2" };
        var size = new Option<int?>("--size") { Description = "Size in MiB; without it, what the files need and half as much again.", HelpName = "MIB" };
        var force = new Option<bool>("--force") { Description = "Replace an image that exists." };
        var create = new Command("create", "Make a disk image of a folder's files.") { image, from, format, size, force };
        create.SetAction(result =>
        {
            DiskImage.Create(new DiskImageRequest(result.GetValue(image)!, result.GetValue(from), result.GetValue(format)!, result.GetValue(size), result.GetValue(force)));
            return ExitStatus.Success;
        });
        return new Command("disk", "Disk images.") { create };
    }
}
