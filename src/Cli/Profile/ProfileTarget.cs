using System.Globalization;
using System.Text.Json;
using Dbt.Cli.Api;
using Dbt.Cli.Control;

namespace Dbt.Cli.Profile;

/// <summary>Which process to attach to.</summary>
/// <param name="ProcessId">The process.</param>
/// <param name="Name">The guest's name; the number where it isn't known.</param>
internal sealed record ProfileTarget(int ProcessId, string Name)
{
    /// <summary>Whose processors count, by the name that they bear; null for all of the process.</summary>
    public string? Processors { get; init; }

    /// <summary>What is known of the guest, where the process as a whole is not its own: see <see cref="GuestFacts"/>.</summary>
    public IReadOnlyDictionary<string, string> Facts { get; init; } = new Dictionary<string, string>();

    /// <summary>Finds it: a guest's name or id, any process by its number, or the only guest that runs.</summary>
    /// <exception cref="ProfileException">There is none, or there are several.</exception>
    /// <exception cref="ControlException">There is no guest of that name.</exception>
    public static async Task<ProfileTarget> FindAsync(string? word, TextWriter errors)
    {
        ControlFolder folder = ControlFolder.Open(ControlFolder.DefaultPath);
        if (word is null)
        {
            IReadOnlyList<ControlClient> all = await ControlClient.AllAsync(folder, errors).ConfigureAwait(false);
            List<ProfileTarget> targets = [.. await Task.WhenAll(all.Select(OfAsync)).ConfigureAwait(false)];
            List<uint> ids = [.. all.Select(client => client.Domain.Id)];
            foreach (ControlClient client in all)
            {
                client.Dispose();
            }

            return targets.Count switch
            {
                1 => targets[0],
                0 => throw new ProfileException("no guest runs; start one with dbt run"),
                _ => throw new ProfileException($"several guests run; name one: {string.Join(", ", targets.Zip(ids, (target, id) => $"{target.Name} ({id})"))}"),
            };
        }

        if (int.TryParse(word, NumberStyles.None, CultureInfo.InvariantCulture, out int id) && await IsNoGuestAsync(folder, word).ConfigureAwait(false))
        {
            // No guest that can be controlled, but it may be one of another kind, such as a test's.
            return Directory.Exists(FormattableString.Invariant($"/proc/{id}"))
                ? new ProfileTarget(id, word)
                : throw new ProfileException($"there is no guest and no process {id}");
        }

        using ControlClient found = await ControlClient.FindAsync(folder, word).ConfigureAwait(false);
        return await OfAsync(found).ConfigureAwait(false);
    }

    private static async Task<bool> IsNoGuestAsync(ControlFolder folder, string word)
    {
        try
        {
            (await ControlClient.FindAsync(folder, word).ConfigureAwait(false)).Dispose();
            return false;
        }
        catch (ControlException exception) when (exception.Error == ControlError.NotFound)
        {
            return true;
        }
    }

    private static async Task<ProfileTarget> OfAsync(ControlClient client)
    {
        Domain domain = client.Domain;
        var target = new ProfileTarget((int)domain.ProcessId, domain.Name);
        if (domain.Id == domain.ProcessId)
        {
            return target; // its process tells of it by itself
        }

        TextReply reply = await client.CallAsync((call, id, deadline) => call.GetConfigurationAsync(new DomainRequest { Domain = id }, deadline: deadline)).ConfigureAwait(false);
        using var json = JsonDocument.Parse(reply.Text);
        JsonElement build = json.RootElement.GetProperty("config").GetProperty("b_info");
        return target with
        {
            Processors = domain.ProcessorsName,
            Facts = new Dictionary<string, string>
            {
                [GuestFacts.Name] = domain.Name,
                [GuestFacts.Kernel] = build.TryGetProperty("kernel", out JsonElement kernel) ? kernel.GetString()! : GuestFacts.Embedded,
            },
        };
    }
}
