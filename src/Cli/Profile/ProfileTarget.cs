using System.Globalization;
using Dbt.Cli.Control;

namespace Dbt.Cli.Profile;

/// <summary>Which process to attach to.</summary>
/// <param name="ProcessId">The process.</param>
/// <param name="Name">The guest's name; the number where it isn't known.</param>
internal sealed record ProfileTarget(int ProcessId, string Name)
{
    /// <summary>Finds it: a guest's name or id, any process by its number, or the only guest that runs.</summary>
    /// <exception cref="ProfileException">There is none, or there are several.</exception>
    /// <exception cref="ControlException">There is no guest of that name.</exception>
    public static async Task<ProfileTarget> FindAsync(string? word, TextWriter errors)
    {
        ControlFolder folder = ControlFolder.Open(ControlFolder.DefaultPath);
        if (word is null)
        {
            IReadOnlyList<ControlClient> all = await ControlClient.AllAsync(folder, errors).ConfigureAwait(false);
            List<ProfileTarget> targets = [.. all.Select(client => new ProfileTarget((int)client.Domain.Id, client.Domain.Name))];
            foreach (ControlClient client in all)
            {
                client.Dispose();
            }

            return targets.Count switch
            {
                1 => targets[0],
                0 => throw new ProfileException("no guest runs; start one with dbt run"),
                _ => throw new ProfileException($"several guests run; name one: {string.Join(", ", targets.Select(target => $"{target.Name} ({target.ProcessId})"))}"),
            };
        }

        if (int.TryParse(word, NumberStyles.None, CultureInfo.InvariantCulture, out int id) && folder.Sockets().All(socket => socket.ProcessId != id))
        {
            // No guest that can be controlled, but it may be one of another kind, such as a test's.
            return Directory.Exists(FormattableString.Invariant($"/proc/{id}"))
                ? new ProfileTarget(id, word)
                : throw new ProfileException($"there is no guest and no process {id}");
        }

        using ControlClient found = await ControlClient.FindAsync(folder, word).ConfigureAwait(false);
        return new ProfileTarget((int)found.Domain.Id, found.Domain.Name);
    }
}
