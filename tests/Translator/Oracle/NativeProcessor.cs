using System.Diagnostics;
using System.IO.MemoryMappedFiles;
using System.Runtime.InteropServices;
using static Dbt.Tests.Translator.Oracle.OracleLayout;

namespace Dbt.Tests.Translator.Oracle;

/// <summary>The host's own processor as an executor of test vectors: owns the harness process and the file shared with it.</summary>
internal sealed unsafe class NativeProcessor : IOracleReference
{
    private readonly string _program, _sharedPath;
    private readonly MemoryMappedFile _file;
    private readonly MemoryMappedViewAccessor _view;
    private readonly byte* _shared;
    private Process? _process;

    /// <summary>Writes the harness program and its shared file.</summary>
    public NativeProcessor()
    {
        string folder = Directory.Exists("/dev/shm") ? "/dev/shm" : Path.GetTempPath();
        string name = $"dbt-oracle-{Environment.ProcessId}-{Guid.NewGuid():N}";
        _sharedPath = Path.Combine(folder, name);
        _program = Path.Combine(Path.GetTempPath(), name + ".elf");
        _file = MemoryMappedFile.CreateFromFile(_sharedPath, FileMode.CreateNew, null, SharedBytes);
        _view = _file.CreateViewAccessor();
        _view.SafeMemoryMappedViewHandle.AcquirePointer(ref _shared);
        HarnessProgram.Write(_program, _sharedPath);
    }

    /// <summary>Times the harness process was started.</summary>
    public int Starts { get; private set; }

    /// <inheritdoc/>
    /// <returns>An outcome for each vector; unusable where it ended the harness.</returns>
    public Outcome[] Run(byte[] background, IReadOnlyList<TestVector> vectors)
    {
        var outcomes = new Outcome[vectors.Count];
        for (int first = 0; first < vectors.Count;)
        {
            int count = Math.Min(Slots, vectors.Count - first);
            background.CopyTo(new Span<byte>(_shared + Background, LiveBytes));
            background.CopyTo(new Span<byte>(_shared + Live, LiveBytes));
            for (int i = 0; i < count; i++)
            {
                WriteSlot(vectors[first + i], _shared + Input + (i * SlotBytes));
            }

            *(int*)(_shared + Header) = count;
            *(int*)(_shared + Header + 4) = 0;
            bool alive = RunBatch();
            int done = (int)Math.Min((uint)count, *(uint*)(_shared + Header + 4));
            byte* record = _shared + Output;
            for (int i = 0; i < done; i++)
            {
                outcomes[first + i] = ReadRecord(ref record);
            }

            first += done;
            if (!alive)
            {
                if (first == vectors.Count)
                {
                    break;
                }

                outcomes[first++] = new Outcome { Unusable = true };
            }
        }

        return outcomes;
    }

    private bool RunBatch()
    {
        if (_process is null)
        {
            _process = Process.Start(new ProcessStartInfo(_program) { RedirectStandardInput = true, RedirectStandardOutput = true })!;
            Starts++;
        }

        try
        {
            _process.StandardInput.BaseStream.WriteByte(1);
            _process.StandardInput.BaseStream.Flush();
            if (_process.StandardOutput.BaseStream.ReadByte() >= 0)
            {
                return true;
            }
        }
        catch (IOException)
        {
            // The pipe broke: the process ended, which is what the next lines are for.
        }

        _process.WaitForExit();
        if (*(int*)(_shared + Header + 4) == 0 && Starts > 1000)
        {
            throw new InvalidOperationException($"The oracle's harness ends at once, exit code {_process.ExitCode}.");
        }

        LastExitCode = _process.ExitCode;
        _process.Dispose();
        _process = null;
        return false;
    }

    /// <summary>How the harness process ended last.</summary>
    public int LastExitCode { get; private set; }

    private static void WriteSlot(TestVector vector, byte* slot)
    {
        byte[] code = vector.Bytes;
        if (code.Length > TestVector.MaxCode)
        {
            throw new ArgumentException("The code is too long for its slot.", nameof(vector));
        }

        var words = new Span<uint>(slot, 16);
        vector.Gpr.CopyTo(words);
        words[8] = vector.Eflags;
        words[9] = vector.Start;
        words[10] = vector.Selectors[4] | ((uint)vector.Selectors[5] << 16);
        words[11] = (uint)code.Length;
        words[12] = (vector.Fx is null ? 0u : 1u) | (vector.LatePage ? 2u : 0u);
        vector.Selectors.AsSpan(0, 4).CopyTo(MemoryMarshal.Cast<uint, ushort>(words[13..]));
        words[15] = OracleLayout.Code + (uint)vector.CodeStart;
        code.CopyTo(new Span<byte>(slot + 64, TestVector.MaxCode));
        vector.Fx?.CopyTo(new Span<byte>(slot + 512, 512));
    }

    private Outcome ReadRecord(ref byte* record)
    {
        uint* words = (uint*)record;
        var outcome = new Outcome { Eflags = words[8], Eip = words[9], Vector = words[10], Error = words[11], Cr2 = words[12] };
        new ReadOnlySpan<uint>(words, 8).CopyTo(outcome.Gpr);
        new ReadOnlySpan<ushort>(record + 60, 6).CopyTo(outcome.Selectors);
        new ReadOnlySpan<byte>(record + 80, 512).CopyTo(outcome.Fx);
        outcome.Unusable = outcome.Vector is HarnessProgram.TimedOut or 17 || IsHarness(outcome.Eip + OracleSegments.Load(outcome.Selectors[4]).Base)
            || (outcome.Vector == 14 && IsHarness(outcome.Cr2)) || (outcome.Fx[26] & 2) != 0;   // AMD's own bit of MXCSR
        int count = (int)words[14];
        if ((uint)count > LiveBytes / 4 || (byte*)(words + 2) + RecordBytes + (8 * count) > _shared + SharedBytes)
        {
            // A vector wrote here.
            outcome.Unusable = true;
            count = 0;
        }

        outcome.Memory = new (int, uint)[count];
        uint* difference = (uint*)(record + RecordBytes);
        for (int i = 0; i < count; i++, difference += 2)
        {
            outcome.Memory[i] = ((int)difference[0], difference[1]);
        }

        record = (byte*)difference;
        return outcome;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_process is not null)
        {
            _process.StandardInput.Close();
            _process.WaitForExit();
            _process.Dispose();
        }

        _view.SafeMemoryMappedViewHandle.ReleasePointer();
        _view.Dispose();
        _file.Dispose();
        File.Delete(_sharedPath);
        File.Delete(_program);
    }
}
