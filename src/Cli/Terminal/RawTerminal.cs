using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace Dbt.Cli.Terminal;

/// <summary>
/// Standard input in raw mode, so that every key goes to the guest: no echo, no lines, no signals from keys. Output processing stays
/// on, so that a guest that ends its lines with a bare newline is readable. Disposing restores what was; so do being stopped from outside
/// (SIGTSTP), until SIGCONT, and an exception that nobody handles.
/// </summary>
internal sealed partial class RawTerminal : IDisposable
{
    private const int StandardInput = 0;
    private const int SetNow = 0, SetAfterOutput = 1;

    // struct termios of Linux's C libraries: four flag words, c_line, c_cc[32], two speeds.
    private const int TermiosBytes = 60, InputFlags = 0, ControlFlags = 8, LocalFlags = 12, ControlCharacters = 17, TimeIndex = 5, MinimumIndex = 6;

    // IGNBRK, BRKINT, PARMRK, ISTRIP, INLCR, IGNCR, ICRNL, IXON; ISIG, ICANON, ECHO, ECHONL, IEXTEN; CSIZE, PARENB.
    private const uint InputOff = 0x5EB, LocalOff = 0x804B, ControlOff = 0x130, EightBits = 0x30;

    // SIGSTOP: what SIGTSTP does by default, which a handler takes away.
    private const int StopSignal = 19;

    private readonly Lock _lock = new();
    private readonly byte[] _original;
    private readonly byte[] _raw;
    private readonly PosixSignalRegistration _stopped, _continued;
    private bool _restored;

    private RawTerminal(byte[] original)
    {
        _original = original;
        _raw = (byte[])original.Clone();
        Change(_raw, InputFlags, InputOff, 0);
        Change(_raw, LocalFlags, LocalOff, 0);
        Change(_raw, ControlFlags, ControlOff, EightBits);
        _raw[ControlCharacters + MinimumIndex] = 1;
        _raw[ControlCharacters + TimeIndex] = 0;
        Apply(_raw, SetNow);

        // A shell has the terminal while we are stopped (kill -TSTP or -STOP, then fg).
#pragma warning disable CA1416 // there is no Windows build
        _stopped = PosixSignalRegistration.Create(PosixSignal.SIGTSTP, context =>
        {
            context.Cancel = true;
            Change(_original);
            _ = Kill(Environment.ProcessId, StopSignal);
        });
        _continued = PosixSignalRegistration.Create(PosixSignal.SIGCONT, context =>
        {
            context.Cancel = true; // else the runtime restores its own idea of the terminal after this
            Change(_raw);
        });
#pragma warning restore CA1416
        AppDomain.CurrentDomain.UnhandledException += Unhandled;
    }

    /// <summary>Enters raw mode; null where standard input is no terminal.</summary>
    public static RawTerminal? TryEnter()
    {
        byte[] original = new byte[TermiosBytes * 2]; // room for a C library with a larger structure
        return IsTerminal(StandardInput) == 1 && GetAttributes(StandardInput, original) == 0 ? new RawTerminal(original) : null;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        AppDomain.CurrentDomain.UnhandledException -= Unhandled;
        _stopped.Dispose();
        _continued.Dispose();
        Restore();
    }

    // The runtime ends the process next.
    private void Unhandled(object sender, UnhandledExceptionEventArgs arguments) => Restore();

    private void Restore()
    {
        lock (_lock)
        {
            if (!_restored)
            {
                _restored = true;
                Apply(_original, SetAfterOutput);
            }
        }
    }

    private void Change(byte[] attributes)
    {
        lock (_lock)
        {
            // In the background (bg) the terminal is another's, and changing it would stop us. fg sends SIGCONT again.
            if (!_restored && ForegroundGroup(StandardInput) == ProcessGroup())
            {
                Apply(attributes, SetNow);
            }
        }
    }

    private static void Change(byte[] attributes, int offset, uint off, uint on)
    {
        Span<byte> word = attributes.AsSpan(offset);
        BinaryPrimitives.WriteUInt32LittleEndian(word, (BinaryPrimitives.ReadUInt32LittleEndian(word) & ~off) | on);
    }

    // A terminal that is gone (hang-up) refuses; there is nothing to restore then.
    private static void Apply(byte[] attributes, int when) => _ = SetAttributes(StandardInput, when, attributes);

    [LibraryImport("libc", EntryPoint = "isatty")]
    private static partial int IsTerminal(int descriptor);

    [LibraryImport("libc", EntryPoint = "tcgetattr")]
    private static partial int GetAttributes(int descriptor, [Out] byte[] attributes);

    [LibraryImport("libc", EntryPoint = "tcsetattr")]
    private static partial int SetAttributes(int descriptor, int actions, byte[] attributes);

    [LibraryImport("libc", EntryPoint = "tcgetpgrp")]
    private static partial int ForegroundGroup(int descriptor);

    [LibraryImport("libc", EntryPoint = "getpgrp")]
    private static partial int ProcessGroup();

    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int Kill(int process, int signal);
}
