using Dbt.Xen.Diagnostics;

namespace Dbt.Cli.Running;

/// <summary>What is seen of a guest at one moment.</summary>
/// <param name="Activity">Its processors and events.</param>
/// <param name="OutputBytes">Console output so far.</param>
/// <param name="HasPrompted">Whether it ends like a prompt, or somebody has typed at one.</param>
/// <param name="HostCpu">The host's processor time that its processors used so far.</param>
internal sealed record HangSample(DomainActivity Activity, long OutputBytes, bool HasPrompted, TimeSpan HostCpu);

/// <summary>
/// Tells a guest that hangs from one that is idle or at work, by a sample now and then. What is certain is told at any time: all
/// processors asleep with nothing left that could wake one, or one that runs with interrupts off and makes no hypercall. What only looks so
/// (no output, and nothing else that people or devices would see) is told before the first prompt alone: an idle guest at its prompt waits for
/// a person, and a busy one behind it works for one. It speaks once until there is progress again.
/// </summary>
/// <param name="samples">Samples without progress that make a hang.</param>
/// <param name="cpu">For a guest that runs: host processor time that it must have had meanwhile. A host that is too busy is no hang.</param>
internal sealed class HangDetector(int samples, TimeSpan cpu)
{
    private readonly Spell _quiet = new(), _spinning = new(), _dead = new(), _waiting = new(), _busy = new();
    private HangSample? _previous;
    private bool _sawPrompt, _said;

    /// <summary>Takes the next sample.</summary>
    /// <returns>What is wrong, as a clause with the guest as its subject; null where nothing is.</returns>
    public string? Next(HangSample sample)
    {
        _sawPrompt |= sample.HasPrompted;
        bool progress = _previous is null || sample.OutputBytes != _previous.OutputBytes || sample.Activity.DeviceEvents != _previous.Activity.DeviceEvents;
        bool spins = _previous is not null && Spins(_previous.Activity, sample.Activity);
        bool asleep = sample.Activity.Vcpus.All(vcpu => vcpu.Doing == VcpuDoing.Waiting || vcpu is { Doing: VcpuDoing.Offline });
        bool timers = sample.Activity.Vcpus.Any(vcpu => vcpu.HasTimer);
        bool dead = asleep && !timers && !sample.Activity.HasOpenPort && !sample.Activity.Vcpus.Any(vcpu => vcpu.Polls);
        bool held = sample.Activity.Vcpus.All(vcpu => vcpu.Doing == VcpuDoing.Offline);
        bool rested = _previous is not null && sample.Activity.Vcpus.Zip(_previous.Activity.Vcpus).All(pair => pair.First.Waits == pair.Second.Waits);
        _quiet.Next(!progress && !held, sample.HostCpu);
        _spinning.Next(spins, sample.HostCpu);
        _dead.Next(dead && !progress && !held, sample.HostCpu);
        _waiting.Next(asleep && !timers && !progress && !held, sample.HostCpu);
        _busy.Next(!asleep && rested && !progress, sample.HostCpu);
        _previous = sample;
        _said &= !progress;
        string? wrong = _said ? null
            : _spinning.Lasts(samples, cpu) ? "runs with interrupts off and makes no hypercall"
            : _dead.Lasts(samples) ? "sleeps, and nothing is left that could wake it"
            : _sawPrompt || !_quiet.Lasts(samples) ? null
            : _waiting.Lasts(samples) ? "waits for an event that does not come, and has said nothing meanwhile"
            : _busy.Lasts(samples, cpu) ? "has been busy without a word, a rest or a device's answer"
            : !_busy.Lasts(1) && !_spinning.Lasts(1) ? "is idle and has said nothing, nor asked for anything"
            : null;
        _said |= wrong is not null;
        return wrong;
    }

    private static bool Spins(DomainActivity before, DomainActivity now)
    {
        for (int i = 0; i < now.Vcpus.Count; i++)
        {
            VcpuActivity then = before.Vcpus[i], vcpu = now.Vcpus[i];
            if (vcpu is { Doing: VcpuDoing.Running or VcpuDoing.Resting, InterruptsOff: true } && then.InterruptsOff && vcpu.Hypercalls == then.Hypercalls && vcpu.Waits == then.Waits)
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>How long something has been so.</summary>
    private sealed class Spell
    {
        private int _count;
        private TimeSpan _since;

        public void Next(bool isSo, TimeSpan now)
        {
            _since = _count == 0 ? now : _since;
            Now = now;
            _count = isSo ? _count + 1 : 0;
        }

        private TimeSpan Now { get; set; }

        public bool Lasts(int samples, TimeSpan cpu = default) => _count >= samples && Now - _since >= cpu;
    }
}
