using Dbt.Translator.Memory;
using Dbt.Translator.State;

namespace Dbt.Translator.Protection;

/// <summary>
/// The address windows of a processor, one for each address space whose programs have run for long. MOV to CR3 drops what the software TLB holds, and a window with it; but most often it comes back as it was, and to map
/// its pages anew takes the host some microseconds each. So it is put aside, and when its address space is entered again, each page is walked and stays if it is still that one. Where the program never runs for long enough
/// for that to pay (it writes into a pipe, say), the window waits until it does. One thread's.
/// </summary>
/// <param name="lookAround">See <see cref="IWindowSpaces.LookAround"/>.</param>
/// <param name="isLogged">Whether the first write to each page must be told, again and again: no page stays in a window then.</param>
internal sealed unsafe class SpaceWindows(SpaceWindows.Look lookAround, Func<bool> isLogged) : IWindowSpaces, IDisposable
{
    // Some tenths of a second of a program that computes, and a tenth of a millisecond between two switches.
    private const ulong SettledInstructions = 300_000_000, InstructionsPerSwitch = 200_000;

    // What a window saves by the instruction is a quarter of a nanosecond; what may be spent before a program has run at all, nanoseconds.
    private const ulong InstructionsPerNanosecond = 4, Allowance = 5_000_000;

    // What a program that has run for long may spend at a time.
    private const ulong MostCredit = 1_000_000_000;

    // What walking a page takes, nanoseconds; of how many it isn't worth asking about; the longest time for which a program is believed to run without a switch, instructions.
    private const ulong RetainCost = 100, FewPages = 128, LongestTurn = 16_000_000;
    private const int MostSpaces = 32, MostWindows = 8, MostFailures = 12;

    private readonly Dictionary<uint, Space> _spaces = [];
    private Space? _current;
    private long _clock;

    /// <summary>Fills what it can of the pages around one.</summary>
    public delegate void Look(CpuState* cpu, uint page);

    /// <inheritdoc/>
    public bool IsSettled(CpuState* cpu)
    {
        if (_current is not { Window: null } space || isLogged())
        {
            return false;
        }

        ulong ran = space.RanBy(Retired(cpu));
        return ran >= SettledInstructions << space.Failures && ran / space.Switches >= InstructionsPerSwitch;
    }

    /// <summary>The processor leaves its address space for another, or for the same once more.</summary>
    /// <param name="cpu">The processor; CR3 is the new one already.</param>
    /// <param name="window">The window that was in use.</param>
    /// <returns>The window of the space that is entered, as it was when that was left; null where it has none, or where that waits for <see cref="Resume"/>.</returns>
    public AddressWindow? Switch(CpuState* cpu, AddressWindow? window)
    {
        ulong retired = Retired(cpu);
        if (_current is { } left)
        {
            left.Window = window ?? left.Window;
            left.Ran += retired - left.CountedTo;
            left.Turn = ((3 * left.Turn) + Math.Min(retired - left.EnteredAt, LongestTurn)) / 4;
        }
        else
        {
            // It was made before there was an address space, or is of one that has been forgotten.
            window?.Dispose();
        }

        if (!_spaces.TryGetValue(cpu->Cr3, out Space? space))
        {
            if (_spaces.Count == MostSpaces)
            {
                _spaces.Remove(_spaces.MinBy(static known => known.Value.Entered).Key, out Space? oldest);
                Drop(oldest!);
            }

            space = new Space();
            _spaces.Add(cpu->Cr3, space);
        }

        space.Switches++;
        space.Entered = ++_clock;
        space.EnteredAt = space.CountedTo = retired;
        _current = space;
        return isLogged() ? null : Take(space, space.Turn);
    }

    /// <summary>The window of the address space in force, where that waits and the program has run for long enough since it was entered.</summary>
    /// <param name="cpu">The processor.</param>
    /// <param name="always">However long that is.</param>
    /// <returns>As <see cref="Switch"/>.</returns>
    public AddressWindow? Resume(CpuState* cpu, bool always) => _current is { Window: not null } space && !isLogged()
        ? Take(space, always ? ulong.MaxValue : Retired(cpu) - space.EnteredAt)
        : null;

    /// <summary>A window that the current space need not have any more is another program's from now on: it has to run for long first.</summary>
    /// <param name="cpu">The processor.</param>
    public void Restart(CpuState* cpu)
    {
        if (_current is { } space)
        {
            (space.Failures, space.Turn) = (0, LongestTurn);
            Begin(cpu, space);
        }
    }

    /// <inheritdoc/>
    public bool Pays(CpuState* cpu, AddressWindow window)
    {
        if (_current is not { } space || isLogged())
        {
            return false;
        }

        // All that it has run, without a window too: what may be expected of a program is as much again.
        ulong credit = Allowance + (space.RanBy(Retired(cpu)) / InstructionsPerNanosecond), spent = space.Spent + window.Cost;
        if (credit > spent + MostCredit)
        {
            space.Spent = credit - MostCredit - window.Cost;
        }

        return spent <= credit;
    }

    /// <inheritdoc/>
    public void Unsettle(CpuState* cpu, AddressWindow window)
    {
        window.Retire();
        if (_current is { } space && !isLogged())
        {
            Begin(cpu, space);
            space.Failures = Math.Min(space.Failures + 3, MostFailures);
        }
    }

    /// <inheritdoc/>
    public void LookAround(CpuState* cpu, uint page) => lookAround(cpu, page);

    /// <inheritdoc/>
    /// <remarks>Another space that wasn't entered for long loses its own, if there are many.</remarks>
    public void MakeRoom(CpuState* cpu)
    {
        if (_current is { } space)
        {
            Drop(space);
        }

        if (_spaces.Values.Count(static space => space.Window is not null) >= MostWindows - 1)
        {
            _ = TryFreePages();
        }
    }

    /// <inheritdoc/>
    public bool TryFreePages()
    {
        Space? oldest = _spaces.Values.Where(static space => space.Window is not null).MinBy(static space => space.Entered);
        if (oldest is not null)
        {
            Drop(oldest);
        }

        return oldest is not null;
    }

    private static void Begin(CpuState* cpu, Space space) => (space.Ran, space.Spent, space.CountedTo, space.Switches) = (0, 0, Retired(cpu), 1);

    // What it cost is not forgotten: spaces could take the pages from one another all the time.
    private static void Drop(Space space)
    {
        space.Spent += space.Window?.Cost ?? 0;
        space.Window?.Dispose();
        space.Window = null;
    }

    /// <summary>Forgets all address spaces.</summary>
    public void Clear()
    {
        foreach (Space space in _spaces.Values)
        {
            Drop(space);
        }

        _spaces.Clear();
        _current = null;
    }

    /// <inheritdoc/>
    public void Dispose() => Clear();

    /// <summary>Its window, if a turn as long as that is worth walking all its pages.</summary>
    private static AddressWindow? Take(Space space, ulong turn)
    {
        if (space.Window is not { } window)
        {
            return null;
        }

        ulong pages = (ulong)window.Pages.Length, cost = pages * RetainCost;
        if (pages > FewPages)
        {
            if (cost * InstructionsPerNanosecond > turn)
            {
                return null;
            }

            window.Spend(cost);
        }

        space.Window = null;
        return window;
    }

    private static ulong Retired(CpuState* cpu) => cpu->RetiredInterpreted + cpu->RetiredQuick + cpu->RetiredOptimized;

    private sealed class Space
    {
        public AddressWindow? Window { get; set; }

        /// <summary>Instructions since it was made, or began anew, up to <see cref="CountedTo"/>.</summary>
        public ulong Ran { get; set; }

        /// <summary>What the processor had retired then.</summary>
        public ulong CountedTo { get; set; }

        /// <summary>What windows of it that are gone have cost since, and what it might have spent and didn't; nanoseconds.</summary>
        public ulong Spent { get; set; }

        /// <summary>How many run between two switches, a mean in which the last counts for a quarter.</summary>
        public ulong Turn { get; set; } = LongestTurn;

        /// <summary>What the processor had retired when it was entered.</summary>
        public ulong EnteredAt { get; set; }

        public ulong Switches { get; set; }

        public int Failures { get; set; }

        public long Entered { get; set; }

        /// <summary>Instructions that have run in it, which is in force.</summary>
        public ulong RanBy(ulong retired) => Ran + retired - CountedTo;
    }
}
