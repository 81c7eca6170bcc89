using Dbt.Xen.Snapshot;

namespace Dbt.Devices.Console;

/// <content>Going on elsewhere: the indices are in the page; what is here is input that was read and didn't fit into the ring.</content>
internal sealed partial class ConsoleBackend
{
    /// <summary>Takes nothing from the ring and gives it nothing until <see cref="Release"/>. The guest is paused.</summary>
    public void Hold()
    {
        lock (_gate)
        {
            _held = true;
        }
    }

    /// <summary>Goes on where it was held.</summary>
    public void Release()
    {
        lock (_gate)
        {
            _held = false;
        }

        _wake.Set();
    }

    /// <summary>Writes what the ring's page does not hold. While it is held.</summary>
    public void Capture(SectionWriter writer)
    {
        lock (_gate)
        {
            int length = Volatile.Read(ref _inputLength);
            writer.Block(_inputBuffer.AsSpan(_inputOffset, length == 0 ? 0 : length - _inputOffset));
        }
    }

    private void Restore(SectionReader reader)
    {
        ReadOnlySpan<byte> input = reader.Block(_inputBuffer.Length);
        reader.End();
        input.CopyTo(_inputBuffer);
        _inputLength = input.Length;
    }
}
