using System.Globalization;
using Dbt.Cli.Config;
using Dbt.Cli.Terminal;
using Spectre.Console;

namespace Dbt.Cli.Guests;

/// <summary>What <c>dbt guest list</c> and <c>dbt guest show</c> print.</summary>
internal static class GuestListing
{
    private static readonly string[] Columns = ["name", "fetched", "size", "kernel", "packages", "where"];

    /// <summary>A line for each guest: a table for people, else columns between tabs (size in bytes).</summary>
    public static void Write(GuestStore store, TextWriter writer, bool forPeople)
    {
        string[][] rows = [.. KnownGuests.Names.Select(name => Row(store, name, forPeople))];
        PlainTable.Write(Columns, rows, writer, forPeople);
    }

    /// <summary>All there is to know of one guest.</summary>
    public static void WriteOne(GuestStore store, string name, TextWriter writer)
    {
        GuestManifest? fetched = store.Fetched(name), installed = store.Installed(name);
        writer.WriteLine($"name      {name}");
        writer.WriteLine(fetched is null
            ? $"fetched   no; dbt guest fetch {name} makes it, dbt run {name} too"
            : $"fetched   {Day(fetched)}, kernel {fetched.Kernel}, {Size(GuestStore.BytesIn(store.FetchedFolder(name)))}, {store.FetchedFolder(name)}");
        writer.WriteLine(installed is null
            ? $"disk      none yet; the first dbt run {name} makes it in {store.RunFolder(name)}"
            : $"disk      {installed.SizeMiB} MiB, made from the guest of {Day(installed)}, kernel {installed.Kernel}, {Size(GuestStore.BytesIn(store.RunFolder(name)))}, {store.RunFolder(name)}");
        if ((fetched ?? installed) is GuestManifest manifest)
        {
            writer.WriteLine($"asked     {(manifest.Requested.Count == 0 ? "no packages beside its own" : string.Join(", ", manifest.Requested))}");
            writer.WriteLine($"packages  {string.Join("\n          ", manifest.Packages)}");
        }

        writer.WriteLine("runs with");
        ConfigFile configuration = KnownGuests.Configuration(name, store);
        foreach (string key in configuration.Keys)
        {
            writer.WriteLine($"    {key} = {Show(configuration[key]!)}");
        }
    }

    private static string[] Row(GuestStore store, string name, bool forPeople)
    {
        GuestManifest? manifest = store.Fetched(name);
        if (manifest is null)
        {
            return [name, "no", "-", "-", "-", "-"];
        }

        string folder = store.FetchedFolder(name);
        long bytes = GuestStore.BytesIn(folder);
        return
        [
            name, Day(manifest), forPeople ? Size(bytes) : bytes.ToString(CultureInfo.InvariantCulture), manifest.Kernel,
            manifest.Requested.Count == 0 ? "-" : string.Join(',', manifest.Requested), folder,
        ];
    }

    private static string Day(GuestManifest manifest) => manifest.Made.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);

    private static string Size(long bytes) => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1048576.0:0} MiB");

    private static string Show(ConfigValue value) => value switch
    {
        ConfigNumber number => number.Value.ToString(CultureInfo.InvariantCulture),
        ConfigList list => $"[ {string.Join(", ", list.Items.Select(Show))} ]",
        ConfigString text => $"\"{text.Text}\"",
        _ => throw new ArgumentException($"{value.GetType()} is no value of a configuration", nameof(value)),
    };
}
