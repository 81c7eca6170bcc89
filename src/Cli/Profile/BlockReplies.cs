using Dbt.Cli.Api;
using Dbt.Translator.Diagnostics;
using Spectre.Console;

namespace Dbt.Cli.Profile;

/// <summary>A block's listing on its way from the guest's process to the terminal.</summary>
internal static class BlockReplies
{
    /// <summary>A listing as the contract has it.</summary>
    public static BlockReply Of(BlockListing listing)
    {
        var reply = new BlockReply { Title = listing.Title, Host = { listing.Host } };
        foreach (ListedInstruction row in listing.Rows)
        {
            reply.Rows.Add(new BlockRow { Address = row.Address, Guest = row.Guest, Il = { row.Il } });
        }

        return reply;
    }

    /// <summary>Shows it: each guest instruction beside its IL, which runs on to the right; then the host's code in columns.</summary>
    public static void Write(IAnsiConsole console, BlockReply reply)
    {
        const int HostColumn = 58;
        console.WriteLine(reply.Title);
        var table = new Table { Border = TableBorder.Simple };
        table.AddColumn("address").AddColumn("guest").AddColumn("IL");
        foreach (BlockRow row in reply.Rows)
        {
            table.AddRow(new Text(row.Address == 0 ? "" : row.Address.ToString("x8", System.Globalization.CultureInfo.InvariantCulture)), new Text(row.Guest), new Text(string.Join("; ", row.Il)));
        }

        console.Write(table);
        int columns = Math.Max(1, console.Profile.Width / HostColumn), lines = (reply.Host.Count + columns - 1) / columns;
        console.WriteLine("Host code");
        for (int line = 0; line < lines; line++)
        {
            IEnumerable<string> cells = Enumerable.Range(0, columns).Select(column => (column * lines) + line).Where(at => at < reply.Host.Count).Select(at => reply.Host[at].PadRight(HostColumn));
            console.WriteLine(string.Concat(cells).TrimEnd());
        }
    }
}
