using Dbt.Translator;
using Dbt.Translator.State;

namespace Dbt.Perf;

/// <summary>A static i386 program as it lies in memory.</summary>
/// <param name="Image">Its bytes from <see cref="Load"/> on.</param>
/// <param name="Entry">Where it begins.</param>
internal sealed record GuestProgram(byte[] Image, uint Entry)
{
    /// <summary>Where it is loaded.</summary>
    public const uint Load = 0x100000;

    private const int EntryField = 24;

    /// <summary>Reads a program's header, and the bytes that objcopy made of it.</summary>
    public static GuestProgram Read(string program, string image) => new(File.ReadAllBytes(image), BitConverter.ToUInt32(File.ReadAllBytes(program), EntryField));
}

/// <summary>A program on an engine. Its end is a system call, which stops the platform; its result is in EBX then.</summary>
internal sealed unsafe class GuestProgramRun : IDisposable
{
    private const uint Stack = 0xF00000;
    private readonly FlatPlatform _platform = new();
    private readonly Engine _engine;
    private readonly uint _entry;

    public GuestProgramRun(GuestProgram program, EngineKind kind)
    {
        program.Image.CopyTo(new Span<byte>(_platform.Memory + GuestProgram.Load, program.Image.Length));
        _entry = program.Entry;
        _engine = EngineFactory.Create(new EngineOptions { Kind = kind, Windows = WindowUse.Always }, _platform, _platform.Cpu);
        var fx = (ushort*)&_platform.Cpu->Fx;
        fx[0] = 0x37F;
        fx[12] = 0x1F80;
    }

    /// <summary>Counters of the engine so far.</summary>
    public EngineStatistics Statistics => _engine.Statistics;

    /// <summary>Runs it once.</summary>
    /// <returns>Its result.</returns>
    public uint Once()
    {
        _platform.Cpu->Eip = _entry;
        _platform.Cpu->Gpr[(int)Gpr.Esp] = Stack;
        _engine.Run(_platform.Cpu);
        return _platform.Cpu->Gpr[(int)Gpr.Ebx];
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _engine.Dispose();
        _platform.Dispose();
    }
}
